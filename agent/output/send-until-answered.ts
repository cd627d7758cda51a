import type { BatchPiece, PieceAnswer } from '../../core/output/batch.ts'
import { createBackoff, jitter } from '../../platform/backoff.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { IngestClient } from './ingest-client.ts'

export interface SenderOptions {
  client: IngestClient
  clock: Clock
  log: Log
  /** For jitter, from 0 to 1. */
  random(): number
  /** The longest delay between two tries, ms. */
  longestPauseMs?: number
}

/** `isMalformed`: the operator refused the piece because it is not a valid piece. */
export type SendAnswer = PieceAnswer & { isMalformed?: true }

/** Sends a batch until it is answered, with backoff. A piece that is sent twice is stored once. Rejects only when the signal aborts. */
export type SendUntilAnswered = (pieces: readonly BatchPiece[], signal: AbortSignal) => Promise<SendAnswer[]>

const FIRST_DELAY_MS = 100
const LONGEST_DELAY_MS = 15_000

export function createSender(options: SenderOptions): SendUntilAnswered {
  const { client, clock, log, random, longestPauseMs = LONGEST_DELAY_MS } = options
  const backoff = createBackoff({ firstMs: FIRST_DELAY_MS, longestMs: longestPauseMs, random })
  let failures = 0
  const send: SendUntilAnswered = async (pieces, signal) => {
    while (pieces.length > 0) {
      const result = await client.send(pieces, signal)
      if (result.kind === 'answered') {
        if (failures > 0) log.info({ tries: failures }, 'output.sendRecovered')
        failures = 0
        return result.answers
      }
      if (result.kind === 'malformed') {
        const { index, why } = result
        const others = await send(pieces.toSpliced(index, 1), signal)
        return others.toSpliced(index, 0, { stored: 0, refused: why, isMalformed: true })
      }
      const inMs = Math.max(backoff(++failures), jitter(result.retryAfterMs, random))
      // Often the first failure is only a restart of the operator.
      const level = result.isRejected ? 'error' : failures === 1 ? 'info' : 'warn'
      log[level]({ why: result.why, pieces: pieces.length, inMs }, 'output.sendFailed')
      await clock.sleep(inMs, signal)
    }
    return []
  }
  return send
}
