import type { KeyObject } from 'node:crypto'
import type { Keys } from '../../core/keys.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { Batcher } from '../../store/etcd/batcher.ts'
import type { Etcd } from '../../store/etcd/client.ts'
import type { Launcher } from '../launcher/launcher.ts'
import type { CellCache } from '../pool/cell-cache.ts'
import type { World } from '../pool/world.ts'
import type { ContainerSettings } from '../runs/container-command.ts'
import type { ContainerPresence } from '../schedule/container-presence.ts'
import type { LocalPolicy } from '../startup/local-policy.ts'

/** Shared by everything that lives as long as one session of the agent. */
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
  cells: CellCache
  /** Ids of runs whose claims are in flight (schedule/send-claim.ts). */
  claiming: Set<string>
  /** How long a read of a wave's cell and the claim after it take at present, ms. */
  pace: { ms: number }
  launcher: Launcher
  poolKeys(): readonly KeyObject[]
  policy: LocalPolicy
  containers: ContainerSettings
  presence: ContainerPresence
  /** Aborts when the session, the connection to the launcher or the agent ends. */
  signal: AbortSignal
}
