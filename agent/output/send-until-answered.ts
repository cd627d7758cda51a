import type { BatchPiece, PieceAnswer } from '../../core/output/batch.ts'
import { createBackoff, jitter } from '../../platform/backoff.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { IngestClient } from './ingest-client.ts'

export interface DeliveryOptions {
  client: IngestClient
  clock: Clock
  log: Log
  /** For jitter, from 0 to 1. */
  random(): number
  /** The longest pause between two tries, ms. */
  longestPauseMs?: number
}

/** `isMalformed`: refused, as it is no piece. */
export type Taken = PieceAnswer & { isMalformed?: true }

/** Sends a batch until it is answered: what is sent twice is stored once. Rejects only when the signal aborts. */
export type Deliver = (pieces: readonly BatchPiece[], signal: AbortSignal) => Promise<Taken[]>

const FIRST_DELAY_MS = 100
const LONGEST_DELAY_MS = 15_000

export function createSender(options: DeliveryOptions): Deliver {
  const { client, clock, log, random, longestPauseMs = LONGEST_DELAY_MS } = options
  const backoff = createBackoff({ firstMs: FIRST_DELAY_MS, longestMs: longestPauseMs, random })
  let failures = 0
  const deliver: Deliver = async (pieces, signal) => {
    while (pieces.length > 0) {
      const sent = await client.send(pieces, signal)
      if (sent.kind === 'answered') {
        if (failures > 0) log.info({ tries: failures }, 'output.deliveredAgain')
        failures = 0
        return sent.answers
      }
      if (sent.kind === 'malformed') {
        const { index, why } = sent
        const others = await deliver(pieces.toSpliced(index, 1), signal)
        return others.toSpliced(index, 0, { stored: 0, refused: why, isMalformed: true })
      }
      const inMs = Math.max(backoff(++failures), jitter(sent.afterMs, random))
      // The first failure is often only the operator's restart.
      const level = sent.refused ? 'error' : failures === 1 ? 'info' : 'warn'
      log[level]({ why: sent.why, pieces: pieces.length, inMs }, 'output.notDelivered')
      await clock.sleep(inMs, signal)
    }
    return []
  }
  return deliver
}
