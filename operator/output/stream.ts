import { lostChunk, stopChunk } from '../../core/output/chunks.ts'
import type { Clock } from '../../platform/clock.ts'
import type { AttemptRef, OutputStore } from '../../store/log/port.ts'
import type { OutputNotifier } from '../ingest/output-notifier.ts'

/**
 * The output of an attempt from a position on, as chunks; the last one is a `stop`. Followed, it goes on until the output ends, or until
 * nothing more can be hoped for: the attempt has ended, and no more of it came for a while (its machine is gone, say).
 */
export interface StreamOptions {
  store: Pick<OutputStore, 'output'>
  tail: OutputNotifier
  clock: Clock
  attempt: AttemptRef
  from: number
  follow: boolean
  /** The attempt is in flight. Asked often. */
  isGoing(): boolean
}

const READ_BYTES = 256 * 1024
/**
 * How often it is looked whether a silent attempt goes on, and how often the log store is asked about one that does: whatever comes rings,
 * and hundreds may be followed at once. How long one that has ended is waited for. ms.
 */
const LOOK_MS = 2_000
const ASK_MS = 30_000
const GIVEN_UP_MS = 15_000

export async function* streamOf(options: StreamOptions, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const { store, attempt, follow, clock } = options
  const bell = createBell(options, signal)
  let { from } = options
  let since: number | undefined
  try {
    for (;;) {
      bell.begin()
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
        since = await silence(options, bell, since)
        if (since !== undefined && clock.monotonic() - since > GIVEN_UP_MS)
          return yield stopChunk({ at: clock.now(), ended: false })
      }
      signal.throwIfAborted()
    }
  } finally {
    bell.stop()
  }
}

/** Until it is worth to ask again. Answers since when it has ended, and nothing has come of it. */
async function silence(
  { clock, isGoing }: StreamOptions,
  bell: Bell,
  since: number | undefined,
): Promise<number | undefined> {
  const until = clock.monotonic() + ASK_MS
  while (isGoing()) {
    if ((await bell.wait(LOOK_MS)) || clock.monotonic() >= until) return undefined
  }
  // What has just ended may have said its last word before.
  if (since !== undefined) await bell.wait(LOOK_MS)
  return since ?? clock.monotonic()
}

interface Bell {
  /** What rings from now on is heard. */
  begin(): void
  /** At most so long; at once, if it rang since `begin`. Answers whether it did. Never rejects. */
  wait(ms: number): Promise<boolean>
  stop(): void
}

function createBell({ tail, clock, attempt }: StreamOptions, signal: AbortSignal): Bell {
  let rang = false
  let wake = () => {}
  const stop = tail.listen(attempt.run, () => {
    rang = true
    wake()
  })
  return {
    begin: () => void (rang = false),
    async wait(ms) {
      if (rang) return true
      const waiting = new AbortController()
      const woken = new Promise<void>(resolve => (wake = resolve))
      const pause = clock.sleep(ms, AbortSignal.any([waiting.signal, signal])).catch(() => undefined)
      await Promise.race([woken, pause]).finally(() => waiting.abort())
      return rang || signal.aborted
    },
    stop,
  }
}
