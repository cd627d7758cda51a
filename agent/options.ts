import type { KeyObject } from 'node:crypto'
import type { Keys } from '../core/keys.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import type { Etcd } from '../store/etcd/client.ts'
import type { Launcher } from './launcher/launcher.ts'
import type { Output } from './output/output.ts'
import type { ContainerSettings } from './runs/container-command.ts'
import type { LocalPolicy } from './startup/local-policy.ts'

/** What an agent is made from. */
export interface AgentOptions {
  etcd: Etcd
  keys: Keys
  pool: string
  agent: string
  version: string
  stateDir: string
  operatorKey: KeyObject
  /** The newest first. A renewal of the identity may add keys. */
  poolKeys(): readonly KeyObject[]
  /** Gets the public key with which the operator seals for the pool, at the start and at each change. */
  onSealKey?(pem: string): void
  /** Whether this agent still lacks that key: then it claims nothing. */
  lacksPoolKey?(): boolean
  policy: LocalPolicy
  containers: ContainerSettings
  clock: Clock
  log: Log
  output: Output
  /** Connects to the running launcher, or starts one. */
  launcher(signal: AbortSignal): Promise<Launcher>
  /** The build of the launcher that this agent would start. A running launcher of another build is replaced when it is idle. */
  launcherBuild?: string | undefined
  /** Called with true when this agent begins to take part in its pool: it holds a session and has taken stock. Then with false. */
  onReady?(isReady: boolean): void
}
