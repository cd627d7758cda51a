import type { Registration, Trouble } from '../../core/records/state.ts'
import { messageOf } from '../../platform/errors.ts'
import { amend } from '../../store/protocol/register.ts'
import type { Context } from '../session/context.ts'
import type { Readiness } from './readiness.ts'

const CHECK_EVERY_MS = 5_000

/** Writes into the agent's registration why it claims nothing, until the session ends. The status of its ShellAgent shows it. */
export async function reportTrouble(
  context: Pick<
    Context,
    'etcd' | 'keys' | 'pool' | 'agent' | 'session' | 'world' | 'clock' | 'log' | 'signal'
  >,
  of: { readiness: Pick<Readiness, 'trouble'>; registration(): Registration },
): Promise<void> {
  const { etcd, keys, pool, agent, session, world, clock, log, signal } = context
  let logged: Trouble | undefined
  while (!signal.aborted) {
    const registered = world.agents.get(keys.agent(pool, agent))
    const reason = of.readiness.trouble()
    if (reason !== logged && reason) log.warn({ reason }, 'agent.claimsNothing')
    else if (reason !== logged) log.info({}, 'agent.claimsAgain')
    logged = reason
    if (registered?.value.session === session && registered.value.trouble?.reason !== reason) {
      const trouble = reason && { reason, since: clock.now() }
      const registration = { ...of.registration(), ...(trouble ? { trouble } : {}) }
      // The next check tries again after a failure. A full etcd rejects every write, this one included.
      await etcd
        .txn(amend(keys, { pool, agent, mod: registered.mod }, registration))
        .catch(error => log.debug({ error: messageOf(error) }, 'agent.troubleNotReported'))
    }
    await clock.sleep(CHECK_EVERY_MS, signal).catch(() => undefined)
  }
}
