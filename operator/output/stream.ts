import { lostChunk, stopChunk } from '../../core/output/chunks.ts'
import type { Clock } from '../../platform/clock.ts'
import type { AttemptRef, OutputStore } from '../../store/log/port.ts'
import type { OutputNotifier } from '../ingest/output-notifier.ts'

/**
 * The output of an attempt from a position on, as chunks; the last one is a `stop`. With `follow` it continues until the output ends, or
 * until no more can be expected: the attempt has ended, and nothing has arrived for a while (its machine may be gone).
 */
export interface StreamOptions {
  store: Pick<OutputStore, 'output'>
  notifier: OutputNotifier
  clock: Clock
  attempt: AttemptRef
  from: number
  follow: boolean
  /** Whether the attempt is in flight. Called often. */
  isGoing(): boolean
}

const READ_BYTES = 256 * 1024
/** How often a silent attempt is checked for being in flight, ms. */
const CHECK_MS = 2_000
/** How often the log store is asked about a silent attempt in flight, ms. Notifications normally come first; hundreds may be followed. */
const ASK_MS = 30_000
/** How long output is awaited after the attempt has ended, ms. */
const GIVE_UP_MS = 15_000

export async function* streamOf(options: StreamOptions, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const { store, attempt, follow, clock } = options
  const more = listenForMore(options, signal)
  let { from } = options
  let endedAt: number | undefined
  try {
    for (;;) {
      more.reset()
      const part = await store.output(attempt, from, READ_BYTES)
      for (const { chunks, lost, next } of part.pieces) {
        if (lost !== undefined) yield lostChunk({ at: 0, bytes: lost, next })
        if (chunks.length > 0) yield chunks
      }
      const isMore = part.next > from
      from = part.next
      if (isMore) endedAt = undefined
      else if (part.ended || !follow) return yield stopChunk({ at: clock.now(), ended: part.ended })
      else {
        endedAt = await waitForMore(options, more, endedAt)
        if (endedAt !== undefined && clock.monotonic() - endedAt > GIVE_UP_MS)
          return yield stopChunk({ at: clock.now(), ended: false })
      }
      signal.throwIfAborted()
    }
  } finally {
    more.stop()
  }
}

/** Waits until the log store should be read again. Returns when the attempt was first seen to have ended; undefined: it is in flight. */
async function waitForMore(
  { clock, isGoing }: StreamOptions,
  more: MoreOutput,
  endedAt: number | undefined,
): Promise<number | undefined> {
  const until = clock.monotonic() + ASK_MS
  while (isGoing()) {
    if ((await more.wait(CHECK_MS)) || clock.monotonic() >= until) return undefined
  }
  // Output that was sent before the end may have arrived in the meantime: the first read follows at once.
  if (endedAt !== undefined) await more.wait(CHECK_MS)
  return endedAt ?? clock.monotonic()
}

interface MoreOutput {
  /** Forgets earlier notifications. */
  reset(): void
  /** Waits for a notification since `reset`, for `ms` at most. True if there was one, or the signal has aborted. Never rejects. */
  wait(ms: number): Promise<boolean>
  stop(): void
}

function listenForMore({ notifier, clock, attempt }: StreamOptions, signal: AbortSignal): MoreOutput {
  let isNotified = false
  let wake = () => {}
  const stop = notifier.listen(attempt.run, () => {
    isNotified = true
    wake()
  })
  return {
    reset: () => void (isNotified = false),
    async wait(ms) {
      if (isNotified) return true
      const waiting = new AbortController()
      const woken = new Promise<void>(resolve => (wake = resolve))
      const pause = clock.sleep(ms, AbortSignal.any([waiting.signal, signal])).catch(() => undefined)
      await Promise.race([woken, pause]).finally(() => waiting.abort())
      return isNotified || signal.aborted
    },
    stop,
  }
}
