import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Clock } from './clock.ts'

/**
 * Node collects garbage only when it allocates. A process that reads much and then idles keeps memory that it no longer needs: an agent with
 * 10,000 jobs keeps a fifth more than it uses. So the process collects garbage while it is idle.
 */

const LOOK_EVERY_MS = 15_000
/** Pause after a collection, which takes about 100 ms of CPU. */
const REST_MS = 180_000
/** Collects if the heap grew by this many bytes since the last collection. */
const GROWTH = 8 * 1_024 * 1_024

/** Runs until the signal aborts. `isQuiet`: whether a pause of 100 ms would disturb nothing now. */
export async function giveBackMemory(
  clock: Clock,
  isQuiet: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  const collect = collector()
  let kept = 0
  while (!signal.aborted) {
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined)
    if (signal.aborted || !isQuiet() || process.memoryUsage().heapUsed < kept + GROWTH) continue
    await collect()
    kept = process.memoryUsage().heapUsed
    await clock.sleep(REST_MS, signal).catch(() => undefined)
  }
}

/** Returns whether this process has used less than `share` of a core since the last call. */
export function usesLittleCpu(
  clock: Clock,
  { share = 0.1, usage = () => process.cpuUsage() }: { share?: number; usage?: () => NodeJS.CpuUsage } = {},
): () => boolean {
  const look = () => ({ at: clock.monotonic(), usedMs: totalMs(usage()) })
  let last = look()
  return () => {
    const now = look()
    const isLittle = now.usedMs - last.usedMs < share * (now.at - last.at)
    last = now
    return isLittle
  }
}

const totalMs = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1_000

type Collect = (how: object) => Promise<void>

/** V8's collector, which Node exposes on demand. `last-resort` returns empty pages to the operating system. */
function collector(): () => Promise<void> {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as Collect
  return () => gc({ type: 'major', execution: 'async', flavor: 'last-resort' })
}
