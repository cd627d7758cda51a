import type { Keys } from '../core/keys.ts'
import type { Request } from '../core/records/state.ts'
import type { Clock } from '../platform/clock.ts'
import type { Etcd } from '../store/etcd/client.ts'
import { putRequest } from '../store/protocol/put-request.ts'

/** Requests ask agents to run something now. Each is signed, has a lease, and is put only if it does not exist and its cell is unchanged. */
export interface AgentRequests {
  /** 'exists': the request is there already, or the cell has changed because an agent has answered it. */
  put(
    of: { pool: string; id: string; cell?: { key: string; mod: number } },
    request: Request,
  ): Promise<'put' | 'exists'>
}

const TTL_SECONDS = 60
/** Requests share a lease during its first half, so that each lives for half a minute at least, ms. */
const SHARED_FOR_MS = (TTL_SECONDS / 2) * 1_000

export function createAgentRequests(options: {
  etcd: Pick<Etcd, 'lease' | 'txn'>
  keys: Keys
  clock: Clock
  sign(text: string): string
}): AgentRequests {
  const { etcd, keys, clock, sign } = options
  let shared: { lease: Promise<string>; until: number } | undefined

  const lease = (): Promise<string> => {
    if (shared && clock.monotonic() < shared.until) return shared.lease
    const granted = etcd.lease(TTL_SECONDS).then(({ id }) => id)
    const mine = { lease: granted, until: clock.monotonic() + SHARED_FOR_MS }
    shared = mine
    granted.catch(() => {
      if (shared === mine) shared = undefined
    })
    return granted
  }

  return {
    async put({ pool, id, cell }, request) {
      const value = sign(JSON.stringify(request))
      const under = { lease: await lease(), ...(cell ? { cell } : {}) }
      try {
        const answer = await etcd.txn(putRequest(keys.request(pool, id), value, under))
        return answer.ok ? 'put' : 'exists'
      } catch (error) {
        // The lease may have expired.
        shared = undefined
        throw error
      }
    },
  }
}

/** The id of a ShellRun's request to one target. */
export function runRequestId(of: { namespace: string; name: string; target: string }): string {
  return `run.${of.namespace}.${of.name}.${of.target}`
}

/** The id of an offer of an unclaimed run. Names have no dots, so the prefix `offersOf` matches one job only. */
export function offerId(run: string): string {
  return `offer.${run}`
}

export function offersOf(of: { namespace: string; name: string }): string {
  return `offer.${of.namespace}.${of.name}.`
}

export function runRequestsOf(of: { namespace: string; name: string }): string {
  return `run.${of.namespace}.${of.name}.`
}
