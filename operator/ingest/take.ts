import type { BatchPiece, PieceAnswer } from '../../core/output/batch.ts'
import type { AttemptRef, OutputHead, OutputPiece, OutputStore } from '../../store/log/port.ts'
import type { Speaker } from './speaker.ts'
import type { Tail } from './tail.ts'

/**
 * Pieces of output, from an agent into the log store. An attempt is one agent's for good: nobody else may add to it. Of one agent, one
 * batch at a time.
 *
 *   known to be its own, or nobody's? ─▶ stored, in one transaction ─▶ who listens is told ─▶ answered
 */
export interface Take {
  /** Answers for each piece; on disk when it resolves. */
  (speaker: Speaker, pieces: readonly BatchPiece[]): Promise<PieceAnswer[]>
}

/** Attempts whose owner is remembered; of another one it is looked up. */
const REMEMBERED = 20_000

export function createTake({ store, tail }: { store: OutputStore; tail: Tail }): Take {
  const owners = new Map<string, string>()
  const remember = (ref: AttemptRef, agent: string) => {
    owners.set(keyOf(ref), agent)
    const [oldest] = owners.keys()
    if (owners.size > REMEMBERED && oldest !== undefined) owners.delete(oldest)
  }
  /** What is stored of it, where that has to be known: who owns it, how far it is. */
  const headOf = async (piece: BatchPiece): Promise<OutputHead | undefined> => {
    const heads = await store.outputs({ run: piece.run, uid: piece.uid })
    const head = heads.find(({ run, attempt }) => run === piece.run && attempt === piece.attempt)
    if (head) remember(piece, head.agent)
    return head
  }
  /** What is to be stored of a piece; or the answer to it, if nothing is. */
  const judge = async (piece: BatchPiece, speaker: Speaker): Promise<OutputPiece[] | PieceAnswer> => {
    const mustLook = isQuestion(piece) || piece.total !== undefined || !owners.has(keyOf(piece))
    const head = mustLook ? await headOf(piece) : undefined
    const owner = head?.agent ?? owners.get(keyOf(piece))
    if (owner !== undefined && owner !== speaker.agent) return { stored: 0, refused: 'NotYours' }
    if (isQuestion(piece)) return howFar(head)
    return storable(piece, head, speaker)
  }

  return async (speaker, pieces) => {
    const answers: PieceAnswer[] = []
    const toStore: { index: number; piece: OutputPiece }[] = []
    for (const [index, piece] of pieces.entries()) {
      const judged = await judge(piece, speaker)
      answers.push(Array.isArray(judged) ? { stored: 0 } : judged)
      if (Array.isArray(judged)) for (const each of judged) toStore.push({ index, piece: each })
    }
    if (toStore.length === 0) return answers
    const stored = await store.storeOutput(toStore.map(({ piece }) => piece))
    for (const [n, { index, piece }] of toStore.entries()) {
      answers[index] = { stored: stored[n] ?? 0 }
      remember(piece, speaker.agent)
      tail.ring(piece.run)
    }
    return answers
  }
}

function howFar(head: OutputHead | undefined): PieceAnswer {
  if (!head) return { stored: 0, bytes: 0 }
  return { stored: head.stored, bytes: head.bytes + head.lost, ...(head.ended ? { ended: true } : {}) }
}

function isQuestion({ offset, next, end, total }: BatchPiece): boolean {
  return offset === next && !end && total === undefined
}

/** What was lost follows what is stored, and before what stands behind the loss. */
function storable(piece: BatchPiece, head: OutputHead | undefined, { pool, agent }: Speaker): OutputPiece[] {
  const { uid, run, attempt, namespace, name, chunks } = piece
  const of = { uid, run, attempt, namespace, name, pool, agent }
  const end = piece.end ? { end: true } : {}
  if (piece.total === undefined) return [{ ...of, offset: piece.offset, next: piece.next, chunks, ...end }]
  const offset = head?.stored ?? 0
  const lost = Math.max(0, piece.total - (head ? head.bytes + head.lost : 0))
  // Told already, and only the answer did not arrive.
  if (head?.ended) return [{ ...of, offset, next: offset, chunks: new Uint8Array(), end: true }]
  const next = offset + lost
  const loss: OutputPiece[] = lost === 0 ? [] : [{ ...of, offset, next, chunks: new Uint8Array(), lost }]
  return [...loss, { ...of, offset: next, next: next + chunks.length, chunks, ...end }]
}

function keyOf({ uid, run, attempt }: AttemptRef): string {
  return `${uid} ${run} ${attempt}`
}
