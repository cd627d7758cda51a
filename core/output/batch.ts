import * as z from 'zod'
import { InvalidInput } from '../errors.ts'
import { wholeChunks } from './chunks.ts'

/**
 * The body of an agent's request to the operator's ingest: pieces of the output of many attempts.
 *
 *   length of the header: 4 bytes, big-endian | header: JSON | the chunks of each piece, one after another
 *
 * The answer gives for each piece, in the same order, the position up to which that attempt's output is stored.
 */
export const BATCH_VERSION = 1

/** The size limit of a batch before compression. */
export const MAX_BATCH_BYTES = 4 * 1024 * 1024

/**
 * Output of an attempt between two positions of its spool, as whole chunks. A piece with `next` = `offset` and without `end` only asks up
 * to which position the output is stored.
 */
export interface BatchPiece {
  uid: string
  run: string
  attempt: number
  namespace: string
  name: string
  offset: number
  next: number
  chunks: Uint8Array
  /** The output ends here. */
  end?: boolean | undefined
  /**
   * Everything of the attempt that is not stored was lost. The value is how many bytes of stdout and stderr it wrote in all. `chunks`
   * follow the loss; `offset` and `next` mean nothing.
   */
  total?: number | undefined
}

export interface Batch {
  pool: string
  agent: string
  pieces: BatchPiece[]
}

const HEADER_LENGTH_BYTES = 4
const MAX_PIECES = 5_000

const count = z.int().min(0)
/** Long enough for a run's id, which contains namespace, name and target, each as long as Kubernetes allows. */
const text = z.string().min(1).max(1_024)

const header = z.object({
  version: z.literal(BATCH_VERSION),
  pool: text,
  agent: text,
  pieces: z
    .array(
      z.object({
        uid: text,
        run: text,
        attempt: count,
        namespace: text,
        name: text,
        offset: count,
        next: count,
        length: count,
        end: z.boolean().optional(),
        total: count.optional(),
      }),
    )
    .max(MAX_PIECES),
})

/** The parts of a batch, in the order in which to send them. */
export function encodeBatch({ pool, agent, pieces }: Batch): Uint8Array[] {
  const told = pieces.map(({ chunks, ...piece }) => ({ ...piece, length: chunks.length }))
  const json = new TextEncoder().encode(
    JSON.stringify({ version: BATCH_VERSION, pool, agent, pieces: told } satisfies z.input<typeof header>),
  )
  const length = new Uint8Array(HEADER_LENGTH_BYTES)
  new DataView(length.buffer).setUint32(0, json.length)
  return [length, json, ...pieces.map(({ chunks }) => chunks)]
}

/** Throws InvalidInput if `bytes` is not a batch of this version. Chunks are views of `bytes`. */
export function decodeBatch(bytes: Uint8Array): Batch {
  const { said, from } = headerOf(bytes)
  let at = from
  const pieces = said.pieces.map(({ length, ...piece }, index): BatchPiece => {
    const chunks = bytes.subarray(at, at + length)
    at += length
    const isWhole = chunks.length === length && wholeChunks(chunks) === length
    const isInPlace = piece.total !== undefined || piece.next === piece.offset + length
    if (!isWhole || !isInPlace)
      throw new InvalidInput(`pieces[${index}]`, 'must be whole chunks with the given length and positions')
    return { ...piece, chunks }
  })
  if (at !== bytes.length)
    throw new InvalidInput('batch', `has ${bytes.length - at} bytes after its last piece`)
  return { pool: said.pool, agent: said.agent, pieces }
}

function headerOf(bytes: Uint8Array): { said: z.infer<typeof header>; from: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const from = HEADER_LENGTH_BYTES + (bytes.length < HEADER_LENGTH_BYTES ? 0 : view.getUint32(0))
  const parsed = header.safeParse(jsonOf(bytes.subarray(HEADER_LENGTH_BYTES, from)))
  if (parsed.success) return { said: parsed.data, from }
  const [issue] = parsed.error.issues
  throw new InvalidInput(`batch ${issue?.path.join('.') ?? ''}`.trim(), issue?.message ?? 'cannot be read')
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}

const answer = z.object({
  version: z.literal(BATCH_VERSION),
  pieces: z.array(
    z.object({
      stored: z.number(),
      bytes: z.number().optional(),
      ended: z.boolean().optional(),
      refused: z.string().optional(),
      later: z.boolean().optional(),
    }),
  ),
})

/**
 * The answer to one piece. `stored`: the position up to which the output is stored; `ended`: all of it is. `bytes`, for a piece that only
 * asks: how many bytes of stdout and stderr up to there were stored or lost. `refused`: why it will never be stored. `later`: the
 * operator does not know the attempt yet and stored nothing; send the piece again later.
 */
export type PieceAnswer = z.infer<typeof answer>['pieces'][number]

export function encodeAnswer(pieces: readonly PieceAnswer[]): string {
  return JSON.stringify({ version: BATCH_VERSION, pieces })
}

/** Throws if `json` is not the answer to a batch of `count` pieces. */
export function decodeAnswer(json: string, count: number): PieceAnswer[] {
  const { pieces } = answer.parse(JSON.parse(json))
  if (pieces.length !== count) throw new Error(`${pieces.length} answers to ${count} pieces`)
  return pieces
}
