import * as z from 'zod'

/**
 * The format of output in spools, in transfers and in the log store: a sequence of chunks, as launcher/protocol.md defines them. A
 * sequence that is cut between chunks is a valid sequence.
 */

/**
 * One chunk of output; `at` is Unix ms.
 * - `cut` is the last chunk of an output that was cut: how many bytes of each stream were dropped. `error`: they could not be written,
 *   so outputLimit was not the cause.
 * - `lost` replaces bytes that the spool dropped before they were stored. `next` is the position after them.
 * - `stop` is the last chunk of a transfer, and is never stored. `ended`: the output has ended too.
 */
export type OutputChunk =
  | { stream: 'stdout' | 'stderr'; at: number; data: Uint8Array }
  | { stream: 'cut'; at: number; stdout: number; stderr: number; error?: string | undefined }
  | { stream: 'lost'; at: number; bytes: number; next: number }
  | { stream: 'stop'; at: number; ended: boolean }

export const CHUNK_HEADER_BYTES = 13

const KIND = { stdout: 1, stderr: 2, cut: 3, lost: 4, stop: 5 } as const

const cutMark = z.object({ stdout: z.number(), stderr: z.number(), error: z.string().optional() })
const lostMark = z.object({ bytes: z.number(), next: z.number() })
const stopMark = z.object({ ended: z.boolean() })

/** The complete chunks in `bytes`. Unknown kinds are skipped. `data` is a view of `bytes`, not a copy. */
export function chunksOf(bytes: Uint8Array): OutputChunk[] {
  const chunks: OutputChunk[] = []
  for (const { kind, from, to } of placesIn(bytes)) {
    const chunk = chunkOf(kind, bytes.subarray(from + CHUNK_HEADER_BYTES, to))
    if (chunk) chunks.push({ ...chunk, at: Number(viewOf(bytes).getBigUint64(from + 1)) } as OutputChunk)
  }
  return chunks
}

/** The complete chunks in `bytes`, each with the position after it. The first one begins at `position`. */
export function* placedChunks(
  bytes: Uint8Array,
  position: number,
): Generator<{ chunk: OutputChunk; next: number }> {
  let next = position
  for (const { from, to } of placesIn(bytes)) {
    const [chunk] = chunksOf(bytes.subarray(from, to))
    next = chunk?.stream === 'lost' ? chunk.next : chunk?.stream === 'stop' ? next : next + to - from
    if (chunk) yield { chunk, next }
  }
}

/** How many of these bytes are complete chunks. */
export function wholeChunks(bytes: Uint8Array): number {
  let end = 0
  for (const { to } of placesIn(bytes)) end = to
  return end
}

/** Bytes of stdout and stderr in these chunks. */
export function outputBytes(bytes: Uint8Array): number {
  let sum = 0
  for (const { kind, from, to } of placesIn(bytes))
    if (kind === KIND.stdout || kind === KIND.stderr) sum += to - from - CHUNK_HEADER_BYTES
  return sum
}

/** A `cut` chunk, as a launcher writes it. */
export function cutChunk({
  at,
  ...mark
}: {
  at: number
  stdout: number
  stderr: number
  error?: string | undefined
}): Uint8Array {
  return marked(KIND.cut, at, mark)
}

/** A `lost` chunk. */
export function lostChunk(mark: { at: number; bytes: number; next: number }): Uint8Array {
  const { at, ...said } = mark
  return marked(KIND.lost, at, said)
}

/** A `stop` chunk. */
export function stopChunk({ at, ended }: { at: number; ended: boolean }): Uint8Array {
  return marked(KIND.stop, at, { ended })
}

function marked(kind: number, at: number, mark: object): Uint8Array {
  const data = new TextEncoder().encode(JSON.stringify(mark))
  const chunk = new Uint8Array(CHUNK_HEADER_BYTES + data.length)
  const view = viewOf(chunk)
  view.setUint8(0, kind)
  view.setBigUint64(1, BigInt(Math.max(0, Math.floor(at))))
  view.setUint32(9, data.length)
  chunk.set(data, CHUNK_HEADER_BYTES)
  return chunk
}

function* placesIn(bytes: Uint8Array): Generator<{ kind: number; from: number; to: number }> {
  const view = viewOf(bytes)
  for (let from = 0; from + CHUNK_HEADER_BYTES <= bytes.length; ) {
    const to = from + CHUNK_HEADER_BYTES + view.getUint32(from + 9)
    if (to > bytes.length) return
    yield { kind: view.getUint8(from), from, to }
    from = to
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function chunkOf(kind: number, data: Uint8Array) {
  if (kind === KIND.stdout) return { stream: 'stdout', data } as const
  if (kind === KIND.stderr) return { stream: 'stderr', data } as const
  if (kind === KIND.cut) return { stream: 'cut', ...cutMark.parse(jsonOf(data)) } as const
  if (kind === KIND.lost) return { stream: 'lost', ...lostMark.parse(jsonOf(data)) } as const
  if (kind === KIND.stop) return { stream: 'stop', ...stopMark.parse(jsonOf(data)) } as const
  return undefined
}

function jsonOf(data: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(data))
}
