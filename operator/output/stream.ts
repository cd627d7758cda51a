import { lostChunk, stopChunk } from '../../core/output/chunks.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { AttemptRef, OutputStore } from '../../store/log/port.ts'
import type { Tail } from '../ingest/tail.ts'

/**
 * The output of an attempt from a position on, as chunks; the last one is a `stop`. Followed, it goes on until the output ends, or until
 * nothing more can be hoped for: the attempt has ended, and no more of it came for a while (its machine is gone, say).
 */
export interface StreamOptions {
  store: Pick<OutputStore, 'output'>
  tail: Tail
  clock: Clock
  attempt: AttemptRef
  from: number
  follow: boolean
  /** The attempt is in flight, or its result is not stored yet. */
  isGoing(): Promise<boolean>
}

const READ_BYTES = 256 * 1024
/** How often a silent attempt is looked at, and after how long one that has ended is given up, ms. */
const LOOK_MS = 2_000
const GIVEN_UP_MS = 15_000

export async function* streamOf(options: StreamOptions, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const { store, attempt, follow, clock } = options
  const bell = createBell(options, signal)
  let { from } = options
  let since: number | undefined
  try {
    for (;;) {
      const rung = bell.next()
      const part = await store.output(attempt, from, READ_BYTES)
      for (const { chunks, lost, next } of part.pieces) {
        if (lost !== undefined) yield lostChunk({ at: 0, bytes: lost, next })
        if (chunks.length > 0) yield chunks
      }
      const isMore = part.next > from
      from = part.next
      if (isMore) since = undefined
      else if (part.ended || !follow) return yield stopChunk({ at: clock.now(), ended: part.ended })
      else {
        since = (await options.isGoing()) ? undefined : (since ?? clock.monotonic())
        if (since !== undefined && clock.monotonic() - since > GIVEN_UP_MS)
          return yield stopChunk({ at: clock.now(), ended: false })
        await rung
      }
      signal.throwIfAborted()
    }
  } finally {
    bell.stop()
  }
}

/** Rings when there is more, and from time to time. */
function createBell({ tail, clock, attempt }: StreamOptions, signal: AbortSignal) {
  let ring = () => {}
  const stop = tail.listen(attempt.run, () => ring())
  return {
    next(): Promise<void> {
      const waiting = new AbortController()
      const rung = new Promise<void>(resolve => (ring = resolve))
      const pause = clock.sleep(LOOK_MS, AbortSignal.any([waiting.signal, signal])).catch(() => undefined)
      return Promise.race([rung, pause]).finally(() => waiting.abort())
    },
    stop,
  }
}
