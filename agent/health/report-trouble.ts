import type { Registration, Trouble } from '../../core/records/state.ts'
import { messageOf } from '../../platform/errors.ts'
import { amend } from '../../store/protocol/register.ts'
import type { Context } from '../session/context.ts'
import type { Readiness } from './readiness.ts'

const LOOK_EVERY_MS = 5_000

/** Says in the registration why this agent claims nothing, for its ShellAgent's status to show, until the session ends. */
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
    const said = world.agents.get(keys.agent(pool, agent))
    const reason = of.readiness.trouble()
    if (reason !== logged && reason) log.warn({ reason }, 'agent.claimsNothing')
    else if (reason !== logged) log.info({}, 'agent.claimsAgain')
    logged = reason
    if (said?.value.session === session && said.value.trouble?.reason !== reason) {
      const trouble = reason && { reason, since: clock.now() }
      const now = { ...of.registration(), ...(trouble ? { trouble } : {}) }
      // What is refused or not answered is seen at the next look; an etcd that is full to the brim refuses it until it is not.
      await etcd
        .txn(amend(keys, { pool, agent, mod: said.mod }, now))
        .catch(error => log.debug({ error: messageOf(error) }, 'agent.troubleUntold'))
    }
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined)
  }
}
