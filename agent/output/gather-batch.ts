import { type BatchPiece, MAX_BATCH_BYTES } from '../../core/output/batch.ts'
import type { Launch } from './launch.ts'
import type { Loss } from './loss-file.ts'
import type { Losses } from './losses.ts'
import { pieceOfLoss } from './next-piece.ts'

/** A batch is complete at about this size. */
export const TARGET_BYTES = 1024 * 1024
const MIN_READ_BYTES = 16 * 1024
/** Launches that are read at the same time. */
const CONCURRENT_READS = 48
const MAX_PIECES = 1_000
/** Fewer than all pieces: however many losses there are, running launches send output too. */
const MAX_LOSSES = 500
/** The header of a batch describes each piece. Its size counts against the batch's limit too. */
const HEADER_RESERVE_BYTES = 1024 * 1024

/** A piece to send, and the launch or the loss that it belongs to. */
export interface BatchItem {
  source: { launch: Launch } | { loss: Loss }
  piece: BatchPiece
}

export interface BatchSources {
  losses: Losses
  /** Losses to leave out. */
  pendingLosses: ReadonlySet<Loss>
  /** Launches that may have output. `gatherBatch` removes those that it reads. */
  ready: Set<Launch>
  /** undefined: no launcher is connected. */
  reader(): ReadLaunch | undefined
}

/** Reads about `bytes` of the launch's output. undefined: there is nothing to send now. */
export type ReadLaunch = (launch: Launch, bytes: number) => Promise<BatchPiece | undefined>

/**
 * Gathers the next batch: losses first, then a part of each launch that is ready. Each launch is read at most once. A launch whose part does
 * not fit becomes ready again, and so does one that writes meanwhile: the operator's answer says where to continue.
 */
export async function gatherBatch({
  losses,
  pendingLosses,
  ready,
  reader,
}: BatchSources): Promise<BatchItem[]> {
  const lost = await losses.first(MAX_LOSSES, pendingLosses)
  const batch = lost.map((loss): BatchItem => ({ source: { loss }, piece: pieceOfLoss(loss) }))
  let bytes = 0
  const alreadyRead = new Set<Launch>()
  while (bytes < TARGET_BYTES && batch.length < MAX_PIECES) {
    const read = reader()
    const launches = firstOf(ready, CONCURRENT_READS, alreadyRead)
    if (!read || launches.length === 0) break
    for (const launch of launches) {
      ready.delete(launch)
      alreadyRead.add(launch)
    }
    const share = Math.max(MIN_READ_BYTES, Math.floor(TARGET_BYTES / launches.length))
    const pieces = await Promise.all(launches.map(launch => read(launch, share)))
    for (const [index, launch] of launches.entries()) {
      const piece = pieces[index]
      if (!piece) continue
      if (bytes + piece.chunks.length > MAX_BATCH_BYTES - HEADER_RESERVE_BYTES) ready.add(launch)
      else {
        bytes += piece.chunks.length
        batch.push({ source: { launch }, piece })
      }
    }
  }
  return batch
}

function firstOf<T>(all: Iterable<T>, count: number, except: ReadonlySet<T>): T[] {
  const first: T[] = []
  for (const each of all) if (!except.has(each) && first.push(each) === count) break
  return first
}
