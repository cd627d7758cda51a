import type { Keys } from '../core/keys.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import type { Etcd } from '../store/etcd/client.ts'
import type { AgentRequests } from './agent-requests.ts'
import type { EtcdMirrors } from './etcd-mirrors.ts'
import type { Identity } from './identity/identity.ts'
import type { Resources } from './resources/port.ts'
import type { CompileResults } from './status/compile-results.ts'

/** What every part of a leading operator shares. */
export interface Context {
  etcd: Etcd
  keys: Keys
  clock: Clock
  log: Log
  identity: Identity
  resources: Resources
  mirrors: EtcdMirrors
  requests: AgentRequests
  compileResults: CompileResults
  /** Of the beacon: see upkeep/beacon.ts. */
  epoch(): number
  /** Being uninstalled: no finalizer is added, all are removed, `jobs/` is emptied. */
  draining(): boolean
  /** Without any ShellPolicy everything is allowed, as the agents' local files decide (standalone). */
  allowWithoutPolicy: boolean
}
