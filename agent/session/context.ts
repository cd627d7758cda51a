import type { KeyObject } from 'node:crypto'
import type { Keys } from '../../core/keys.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { Batcher } from '../../store/etcd/batcher.ts'
import type { Etcd } from '../../store/etcd/client.ts'
import type { Launcher } from '../launcher/launcher.ts'
import type { Cells } from '../pool/cell-cache.ts'
import type { World } from '../pool/world.ts'
import type { ContainerSettings } from '../runs/container-command.ts'
import type { ContainerPresence } from '../schedule/container-presence.ts'
import type { LocalPolicy } from '../startup/local-policy.ts'

/** What every part of one agent's session shares. */
export interface Context {
  keys: Keys
  pool: string
  agent: string
  session: number
  etcd: Etcd
  batcher: Batcher
  clock: Clock
  log: Log
  world: World
  cells: Cells
  /** Runs that are being asked for (schedule/send-claim.ts). */
  asked: Set<string>
  /** What a look at a wave and the claim after it take, ms. */
  pace: { ms: number }
  launcher: Launcher
  poolKey: KeyObject
  policy: LocalPolicy
  containers: ContainerSettings
  presence: ContainerPresence
  /** Aborts with the session, the launcher's connection or the agent. */
  signal: AbortSignal
}
