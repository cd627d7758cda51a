import type { Keys } from '../core/keys.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import type { Etcd } from '../store/etcd/client.ts'
import type { AgentRequests } from './agent-requests.ts'
import type { EtcdMirrors } from './etcd-mirrors.ts'
import type { Identity } from './identity/identity.ts'
import type { OwnWrites } from './own-writes.ts'
import type { Resources } from './resources/port.ts'
import type { CompileResults } from './status/compile-results.ts'
import type { ClockLook } from './upkeep/clock-look.ts'

/** What all parts of a leading operator share. */
export interface Context {
  etcd: Etcd
  keys: Keys
  clock: Clock
  log: Log
  identity: Identity
  resources: Resources
  mirrors: EtcdMirrors
  requests: AgentRequests
  writes: OwnWrites
  compileResults: CompileResults
  /** The beacon's epoch: see upkeep/beacon.ts. */
  epoch(): number
  clockLook: ClockLook
  /** Whether what was stored in etcd at the start of this term has been compared with the objects: see first-comparison.ts. */
  compared(): boolean
  /** Whether the operator is being uninstalled: all finalizers are removed, none is added, and `jobs/` is emptied. */
  draining(): boolean
  /** Standalone: without any ShellPolicy everything is allowed, and the agents' local policy files decide. */
  allowWithoutPolicy: boolean
}
