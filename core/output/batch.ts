import * as z from 'zod'
import { InvalidInput } from '../errors.ts'
import { wholeChunks } from './chunks.ts'

/**
 * What an agent brings to the operator's ingest in one request: pieces of the output of many attempts.
 *
 *   header's length: 4 bytes, big-endian | header: JSON | the chunks of each piece, one after the other
 *
 * The answer says, for each piece in its order, how far that attempt's output is stored now.
 */
export const BATCH_VERSION = 1

/** Of a whole batch before it is compressed. */
export const MAX_BATCH_BYTES = 4 * 1024 * 1024

/**
 * What an attempt wrote between two positions of its spool, as whole chunks. One of `next` = `offset` that does not end only asks how far
 * it is stored.
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
  /** Nothing follows. */
  end?: boolean | undefined
  /**
   * What is not stored of the attempt was lost. It wrote so many bytes of stdout and stderr in all; `chunks` stand behind the loss, and
   * `offset` and `next` mean nothing.
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
/** A run's id has its namespace, its name and its target, each as long as Kubernetes allows. */
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

/** The parts of a batch, to be sent one after the other. */
export function encodeBatch({ pool, agent, pieces }: Batch): Uint8Array[] {
  const told = pieces.map(({ chunks, ...piece }) => ({ ...piece, length: chunks.length }))
  const json = new TextEncoder().encode(
    JSON.stringify({ version: BATCH_VERSION, pool, agent, pieces: told } satisfies z.input<typeof header>),
  )
  const length = new Uint8Array(HEADER_LENGTH_BYTES)
  new DataView(length.buffer).setUint32(0, json.length)
  return [length, json, ...pieces.map(({ chunks }) => chunks)]
}

/** Throws InvalidInput for what is no batch of this version. Chunks are views of `bytes`. */
export function decodeBatch(bytes: Uint8Array): Batch {
  const { said, from } = headerOf(bytes)
  let at = from
  const pieces = said.pieces.map(({ length, ...piece }, index): BatchPiece => {
    const chunks = bytes.subarray(at, at + length)
    at += length
    const isWhole = chunks.length === length && wholeChunks(chunks) === length
    const isInPlace = piece.total !== undefined || piece.next === piece.offset + length
    if (!isWhole || !isInPlace)
      throw new InvalidInput(`pieces[${index}]`, 'is not whole chunks of its length')
    return { ...piece, chunks }
  })
  if (at !== bytes.length) throw new InvalidInput('batch', `has ${bytes.length - at} bytes too many`)
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
 * Of one piece: stored up to this position, `ended`: to its end. `bytes`, of one that only asks: of stdout and stderr up to there, stored or
 * lost. `refused`: never, and why. `later`: nothing is known of the attempt yet, and nothing was stored; it is to be brought again in a
 * while.
 */
export type PieceAnswer = z.infer<typeof answer>['pieces'][number]

export function encodeAnswer(pieces: readonly PieceAnswer[]): string {
  return JSON.stringify({ version: BATCH_VERSION, pieces })
}

/** Throws for what is no answer to a batch of so many pieces. */
export function decodeAnswer(json: string, count: number): PieceAnswer[] {
  const { pieces } = answer.parse(JSON.parse(json))
  if (pieces.length !== count) throw new Error(`${pieces.length} answers to ${count} pieces`)
  return pieces
}
