import { type BatchPiece, MAX_BATCH_BYTES } from '../../core/output/batch.ts'
import type { Launch } from './launch.ts'
import type { Loss } from './loss-file.ts'
import type { Losses } from './losses.ts'
import { pieceOfLoss } from './next-piece.ts'

/** What is read of one batch, about; a part of each of so many launches at a time. */
export const TARGET_BYTES = 1024 * 1024
const LEAST_PART_BYTES = 16 * 1024
const WAVE = 48
const MOST_PIECES = 1_000
/** However many there are: what runs now has output too. */
const MOST_LOSSES = 500
/** Beside the chunks: what a batch says of each piece. */
const ROOM_FOR_HEADER = 1024 * 1024

/** What is sent, and of which of the two it is. */
export interface Sending {
  of: { launch: Launch } | { loss: Loss }
  piece: BatchPiece
}

export interface Source {
  losses: Losses
  /** Losses that wait. */
  resting: ReadonlySet<Loss>
  /** What may have something; who is read is taken out. */
  ready: Set<Launch>
  /** undefined: there is no launcher now. */
  reader(): Read | undefined
}

/** About so many bytes; undefined: nothing is to be told of it now. */
export type Read = (launch: Launch, bytes: number) => Promise<BatchPiece | undefined>

/**
 * The next batch: what was lost, and then a part of each that is ready. Who does not fit stays ready, and who is ready again: where it goes
 * on is known from the answer.
 */
export async function gatherBatch({ losses, resting, ready, reader }: Source): Promise<Sending[]> {
  const lost = await losses.first(MOST_LOSSES, resting)
  const batch = lost.map((loss): Sending => ({ of: { loss }, piece: pieceOfLoss(loss) }))
  let bytes = 0
  const asked = new Set<Launch>()
  while (bytes < TARGET_BYTES && batch.length < MOST_PIECES) {
    const read = reader()
    const wave = firstOf(ready, WAVE, asked)
    if (!read || wave.length === 0) break
    for (const launch of wave) {
      ready.delete(launch)
      asked.add(launch)
    }
    const part = Math.max(LEAST_PART_BYTES, Math.floor(TARGET_BYTES / wave.length))
    const pieces = await Promise.all(wave.map(launch => read(launch, part)))
    for (const [index, launch] of wave.entries()) {
      const piece = pieces[index]
      if (!piece) continue
      if (bytes + piece.chunks.length > MAX_BATCH_BYTES - ROOM_FOR_HEADER) ready.add(launch)
      else {
        bytes += piece.chunks.length
        batch.push({ of: { launch }, piece })
      }
    }
  }
  return batch
}

function firstOf<T>(all: Iterable<T>, count: number, but: ReadonlySet<T>): T[] {
  const first: T[] = []
  for (const each of all) if (!but.has(each) && first.push(each) === count) break
  return first
}
