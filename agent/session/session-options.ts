import type { Keys } from '../../core/keys.ts'
import type { Registration } from '../../core/records/state.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { Etcd } from '../../store/etcd/client.ts'

/** One life of an agent's registration in etcd, and the lease that keeps it there. */
export interface Session extends HeldLease {
  /** The create revision of the registration. */
  id: number
  /** Whether an earlier process of this agent began it. */
  resumed: boolean
}

export interface HeldLease {
  lease: string
  ttlSeconds: number
}

/** What a session needs, whichever step of its life. */
export interface SessionOptions {
  etcd: Etcd
  keys: Keys
  pool: string
  agent: string
  stateDir: string
  clock: Clock
  log: Log
  /** The pool's TTL. */
  ttlSeconds(): number
  registration(): Registration
  /** Tells the launcher until when, on CLOCK_BOOTTIME in ms, the runs of this session may live. */
  fence(session: number, untilBoottimeMs: number): void
}
