import { isRunOf } from '../../core/keys.ts'
import type { BatchPiece, PieceAnswer } from '../../core/output/batch.ts'
import type { AgentIdentity } from '../../core/records/agent-user.ts'
import type { Log } from '../../platform/log.ts'
import type { OutputHead, OutputPiece, OutputStore, Runner } from '../../store/log/port.ts'
import type { OutputNotifier } from './output-notifier.ts'
import type { Owners } from './owners.ts'

/**
 * Stores pieces of output that an agent sends. An agent may only send output of attempts that it ran. Each agent has at most one batch in
 * progress.
 *
 *   owner of the attempt ─┬─ the sender    ─▶ stored, in one transaction ─▶ listeners notified ─▶ answered
 *                         ├─ another agent ─▶ refused, NotYours
 *                         └─ unknown       ─▶ later: nothing is stored, and the agent sends it again
 */
export interface StorePieces {
  /** Returns an answer for each piece. What it reports as stored is on disk. */
  (sender: AgentIdentity, pieces: readonly BatchPiece[]): Promise<PieceAnswer[]>
}

export interface StorePiecesOptions {
  store: OutputStore
  owners: Owners
  notifier: OutputNotifier
  log: Log
}

export function createStorePieces({ store, owners, notifier, log }: StorePiecesOptions): StorePieces {
  /** What is stored of the attempt so far. */
  const headOf = async ({ run, uid, attempt }: BatchPiece): Promise<OutputHead | undefined> =>
    (await store.outputs({ run, uid })).find(head => head.run === run && head.attempt === attempt)
  /** The pieces to store; or the answer, if there is nothing to store. */
  const check = async (
    piece: BatchPiece,
    sender: AgentIdentity,
    owner: Runner | undefined,
  ): Promise<OutputPiece[] | PieceAnswer> => {
    if (!owner) return { stored: 0, later: true }
    if (!isOf(sender, owner) || !isRunOf(piece, piece.run)) return { stored: 0, refused: 'NotYours' }
    const isQuery = isStatusQuery(piece)
    const head = isQuery || piece.total !== undefined ? await headOf(piece) : undefined
    if (isQuery) return progressOf(head)
    return storable(piece, head, sender)
  }

  return async (sender, pieces) => {
    const runners = await owners.of(pieces, sender)
    const answers: PieceAnswer[] = []
    const toStore: { index: number; piece: OutputPiece }[] = []
    for (const [index, piece] of pieces.entries()) {
      const checked = await check(piece, sender, runners[index])
      answers.push(Array.isArray(checked) ? { stored: 0 } : checked)
      if (Array.isArray(checked)) for (const each of checked) toStore.push({ index, piece: each })
    }
    logRejected(log, sender, { pieces, answers })
    if (toStore.length === 0) return answers
    const stored = await store.storeOutput(toStore.map(({ piece }) => piece))
    for (const [n, { index, piece }] of toStore.entries()) {
      answers[index] = { stored: stored[n] ?? 0 }
      notifier.notify(piece.run)
    }
    return answers
  }
}

function progressOf(head: OutputHead | undefined): PieceAnswer {
  if (!head) return { stored: 0, bytes: 0 }
  return { stored: head.stored, bytes: head.bytes + head.lost, ...(head.ended ? { ended: true } : {}) }
}

/** An agent that sends another's output has been renamed, or is malicious. An administrator should look at it. */
function logRejected(
  log: Log,
  { pool, agent }: AgentIdentity,
  { pieces, answers }: { pieces: readonly BatchPiece[]; answers: readonly PieceAnswer[] },
): void {
  const refused = pieces.filter((_, index) => answers[index]?.refused)
  const unknown = pieces.filter((_, index) => answers[index]?.later)
  const named = (of: BatchPiece[]) => ({ runs: of.slice(0, 10).map(({ run }) => run), count: of.length })
  if (refused.length > 0) log.warn({ pool, agent, ...named(refused) }, 'ingest.refused')
  if (unknown.length > 0) log.info({ pool, agent, ...named(unknown) }, 'ingest.unknown')
}

function isOf(sender: AgentIdentity, owner: Runner): boolean {
  return sender.pool === owner.pool && sender.agent === owner.agent
}

function isStatusQuery({ offset, next, end, total }: BatchPiece): boolean {
  return offset === next && !end && total === undefined
}

/** Lost output comes after what is stored, and before the piece that follows the loss. */
function storable(
  piece: BatchPiece,
  head: OutputHead | undefined,
  { pool, agent }: AgentIdentity,
): OutputPiece[] {
  const { uid, run, attempt, namespace, name, chunks } = piece
  const of = { uid, run, attempt, namespace, name, pool, agent }
  const end = piece.end ? { end: true } : {}
  if (piece.total === undefined) return [{ ...of, offset: piece.offset, next: piece.next, chunks, ...end }]
  const offset = head?.stored ?? 0
  const lost = Math.max(0, piece.total - (head ? head.bytes + head.lost : 0))
  // The end is stored already; only the answer did not arrive.
  if (head?.ended) return [{ ...of, offset, next: offset, chunks: new Uint8Array(), end: true }]
  const next = offset + lost
  const loss: OutputPiece[] = lost === 0 ? [] : [{ ...of, offset, next, chunks: new Uint8Array(), lost }]
  return [...loss, { ...of, offset: next, next: next + chunks.length, chunks, ...end }]
}
