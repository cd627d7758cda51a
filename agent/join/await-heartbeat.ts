import { createKeys, DEFAULT_PREFIX } from '../../core/keys.ts'
import { registrationSchema } from '../../core/records/state.ts'
import { type Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import { silentLog } from '../../platform/log.ts'
import { connectEtcd, type Etcd } from '../../store/etcd/client.ts'
import { EtcdUnavailable } from '../../store/etcd/errors.ts'
import { parseValue } from '../../store/protocol/versioned.ts'
import type { Identity } from '../startup/identity.ts'

export interface EtcdOf {
  identity: Identity
  endpoints: readonly string[]
}

const POLL_MS = 200

/** Runs `work` with a client that has the agent's own certificate. */
export async function withEtcd<T>(
  { identity, endpoints }: EtcdOf,
  work: (etcd: Etcd) => Promise<T>,
): Promise<T> {
  const etcd = connectEtcd({ endpoints, tls: identity.tls, log: silentLog })
  try {
    return await work(etcd)
  } finally {
    await etcd.close()
  }
}

/** Why etcd cannot be used with this identity; undefined: it can. */
export async function whyNoEtcd(of: EtcdOf): Promise<string | undefined> {
  try {
    await withEtcd(of, etcd => etcd.get(createKeys(DEFAULT_PREFIX).beacon))
    return undefined
  } catch (error) {
    if (error instanceof EtcdUnavailable && error.code === 'PermissionDenied')
      return 'etcd does not admit this agent: it was removed meanwhile; join again with a new line'
    return messageOf(error)
  }
}

export type Heartbeat = { kind: 'ready' } | { kind: 'trouble'; reason: string } | { kind: 'none' }

/** Waits for the agent's registration by a process that started after `since`. 'trouble': it is there, but claims nothing. */
export async function awaitHeartbeat(
  of: EtcdOf & { clock: Clock; since: number; withinMs: number; stillWaits(): boolean },
): Promise<Heartbeat> {
  const { pool = '', agent = '' } = of.identity.agent ?? {}
  const key = createKeys(DEFAULT_PREFIX).agent(pool, agent)
  const until = of.clock.monotonic() + of.withinMs
  return await withEtcd(of, async etcd => {
    let last: Heartbeat = { kind: 'none' }
    while (of.clock.monotonic() < until && of.stillWaits()) {
      const item = await etcd.get(key).catch(() => undefined)
      const found = item && parseValue(registrationSchema, item.value)
      if (found && found.startedAt >= of.since) {
        if (!found.trouble) return { kind: 'ready' }
        last = { kind: 'trouble', reason: found.trouble.reason }
      }
      await of.clock.sleep(POLL_MS)
    }
    return last
  })
}
