import { isRunOf } from '../../core/keys.ts'
import type { BatchPiece, PieceAnswer } from '../../core/output/batch.ts'
import type { Log } from '../../platform/log.ts'
import type { OutputHead, OutputPiece, OutputStore, Runner } from '../../store/log/port.ts'
import type { ClientAgent } from './client-agent.ts'
import type { OutputNotifier } from './output-notifier.ts'
import type { Owners } from './owners.ts'

/**
 * Pieces of output, from an agent into the log store: of attempts that it ran, and of no other. Of one agent, one batch at a time.
 *
 *   whose is it? ─┬─ the speaker's ─▶ stored, in one transaction ─▶ who listens is told ─▶ answered
 *                 ├─ another's     ─▶ refused, NotYours
 *                 └─ nobody knows  ─▶ later: nothing is stored, and it is brought again
 */
export interface StorePieces {
  /** Answers for each piece; on disk when it resolves. */
  (speaker: ClientAgent, pieces: readonly BatchPiece[]): Promise<PieceAnswer[]>
}

export interface StorePiecesOptions {
  store: OutputStore
  owners: Owners
  tail: OutputNotifier
  log: Log
}

export function createStorePieces({ store, owners, tail, log }: StorePiecesOptions): StorePieces {
  /** What is stored of it, where that has to be known: how far it is, what is to be lost. */
  const headOf = async ({ run, uid, attempt }: BatchPiece): Promise<OutputHead | undefined> =>
    (await store.outputs({ run, uid })).find(head => head.run === run && head.attempt === attempt)
  /** What is to be stored of a piece; or the answer to it, if nothing is. */
  const judge = async (
    piece: BatchPiece,
    speaker: ClientAgent,
    owner: Runner | undefined,
  ): Promise<OutputPiece[] | PieceAnswer> => {
    if (!owner) return { stored: 0, later: true }
    if (!isOf(speaker, owner) || !isRunOf(piece, piece.run)) return { stored: 0, refused: 'NotYours' }
    const isAsking = isQuestion(piece)
    const head = isAsking || piece.total !== undefined ? await headOf(piece) : undefined
    if (isAsking) return howFar(head)
    return storable(piece, head, speaker)
  }

  return async (speaker, pieces) => {
    const whose = await owners.of(pieces, speaker)
    const answers: PieceAnswer[] = []
    const toStore: { index: number; piece: OutputPiece }[] = []
    for (const [index, piece] of pieces.entries()) {
      const judged = await judge(piece, speaker, whose[index])
      answers.push(Array.isArray(judged) ? { stored: 0 } : judged)
      if (Array.isArray(judged)) for (const each of judged) toStore.push({ index, piece: each })
    }
    tell(log, speaker, { pieces, answers })
    if (toStore.length === 0) return answers
    const stored = await store.storeOutput(toStore.map(({ piece }) => piece))
    for (const [n, { index, piece }] of toStore.entries()) {
      answers[index] = { stored: stored[n] ?? 0 }
      tail.notify(piece.run)
    }
    return answers
  }
}

function howFar(head: OutputHead | undefined): PieceAnswer {
  if (!head) return { stored: 0, bytes: 0 }
  return { stored: head.stored, bytes: head.bytes + head.lost, ...(head.ended ? { ended: true } : {}) }
}

/** Who brings another's output has been given another name, or lies: somebody should look. */
function tell(
  log: Log,
  { pool, agent }: ClientAgent,
  { pieces, answers }: { pieces: readonly BatchPiece[]; answers: readonly PieceAnswer[] },
): void {
  const refused = pieces.filter((_, index) => answers[index]?.refused)
  const unknown = pieces.filter((_, index) => answers[index]?.later)
  const named = (of: BatchPiece[]) => ({ runs: of.slice(0, 10).map(({ run }) => run), count: of.length })
  if (refused.length > 0) log.warn({ pool, agent, ...named(refused) }, 'ingest.refused')
  if (unknown.length > 0) log.info({ pool, agent, ...named(unknown) }, 'ingest.unknown')
}

function isOf(speaker: ClientAgent, owner: Runner): boolean {
  return speaker.pool === owner.pool && speaker.agent === owner.agent
}

function isQuestion({ offset, next, end, total }: BatchPiece): boolean {
  return offset === next && !end && total === undefined
}

/** What was lost follows what is stored, and before what stands behind the loss. */
function storable(
  piece: BatchPiece,
  head: OutputHead | undefined,
  { pool, agent }: ClientAgent,
): OutputPiece[] {
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
