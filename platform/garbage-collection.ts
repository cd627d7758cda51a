import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Clock } from './clock.ts'

/**
 * Node collects garbage when memory is asked for. A process that has read much and then sleeps never asks, and keeps what it no longer
 * needs: an agent of ten thousand jobs a fifth more than it holds. So it is told to, when it has nothing else to do.
 */

const LOOK_EVERY_MS = 15_000
/** Soon after a start, and then not often: a collection takes some 100 ms of CPU. */
const REST_MS = 600_000
/** So much more on the heap than after the last time is worth one, bytes. */
const WORTH = 8 * 1_024 * 1_024

/** Until the signal aborts. `isQuiet`: a pause of 100 ms would harm nobody now. */
export async function giveBackMemory(
  clock: Clock,
  isQuiet: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  const collect = collector()
  let kept = 0
  while (!signal.aborted) {
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined)
    if (signal.aborted || !isQuiet() || process.memoryUsage().heapUsed < kept + WORTH) continue
    await collect()
    kept = process.memoryUsage().heapUsed
    await clock.sleep(REST_MS, signal).catch(() => undefined)
  }
}

type Collect = (how: object) => Promise<void>

/** V8's own, which Node shows only on demand. `last-resort`: empty pages go back to the system. */
function collector(): () => Promise<void> {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as Collect
  return () => gc({ type: 'major', execution: 'async', flavor: 'last-resort' })
}
