import type { Keys } from '../core/keys.ts'
import type { Request } from '../core/records/state.ts'
import type { Clock } from '../platform/clock.ts'
import type { Etcd } from '../store/etcd/client.ts'
import { putRequest } from '../store/protocol/put-request.ts'

/** Wakes agents: signed, leased, and put only where neither the request nor the cell that would answer it exists. */
export interface AgentRequests {
  /** 'put', or 'there': it stands already, or is answered. */
  put(
    of: { pool: string; id: string; cell?: { key: string; mod: number } },
    request: Request,
  ): Promise<'put' | 'there'>
}

const TTL_SECONDS = 60
/** A lease is shared by what is put in its first half, so that each request lives half a minute at least. */
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
        return answer.ok ? 'put' : 'there'
      } catch (error) {
        // The lease may be what is gone.
        shared = undefined
        throw error
      }
    },
  }
}

/** The id of a ShellRun's request for one target. */
export function runRequestId(of: { namespace: string; name: string; target: string }): string {
  return `run.${of.namespace}.${of.name}.${of.target}`
}

/** The id of an offer of a run that nobody took. Names have no dots, so what `offersOf` begins is of one job only. */
export function offerId(run: string): string {
  return `offer.${run}`
}

export function offersOf(of: { namespace: string; name: string }): string {
  return `offer.${of.namespace}.${of.name}.`
}

export function runRequestsOf(of: { namespace: string; name: string }): string {
  return `run.${of.namespace}.${of.name}.`
}
