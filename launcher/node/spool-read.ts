import { open } from 'node:fs/promises'
import { chunksIn, HEADER_BYTES, KIND, type Stream } from './spool-format.ts'

/** A read's answer has to fit a frame, in base64. */
const MAX_READ_BYTES = 4 * 1024 * 1024

export interface SpoolPart {
  data: Buffer
  next: number
  /** Of the whole file. */
  size: number
}

/**
 * Whole chunks from `offset`, about `length` bytes, at least one if there is one; with `stream` the others are left out, and
 * `next` passes over them; none for a `length` of 0. A file that does not exist is empty.
 */
export async function readSpool(
  path: string,
  part: { offset: number; length: number; stream: Stream | undefined },
): Promise<SpoolPart> {
  const file = await open(path, 'r').catch(ignoreMissing)
  if (!file) return { data: Buffer.alloc(0), next: part.offset, size: 0 }
  try {
    if (part.length === 0) return { data: Buffer.alloc(0), next: part.offset, size: (await file.stat()).size }
    const read = async (length: number) => {
      const buffer = Buffer.allocUnsafe(length)
      const { bytesRead } = await file.read(buffer, 0, length, part.offset)
      return buffer.subarray(0, bytesRead)
    }
    let bytes = await read(Math.min(Math.max(part.length, HEADER_BYTES), MAX_READ_BYTES))
    if (chunksIn(bytes).next().done && bytes.length >= HEADER_BYTES)
      bytes = await read(HEADER_BYTES + bytes.readUInt32BE(9))
    return { ...select(bytes, part), size: (await file.stat()).size }
  } finally {
    await file.close()
  }
}

function select(bytes: Buffer, part: { offset: number; stream: Stream | undefined }) {
  const chosen: Buffer[] = []
  let end = 0
  for (const { kind, from, to } of chunksIn(bytes)) {
    end = to
    const other = part.stream === 'stdout' ? KIND.stderr : KIND.stdout
    if (part.stream === undefined || kind !== other) chosen.push(bytes.subarray(from, to))
  }
  return { data: Buffer.concat(chosen), next: part.offset + end }
}

function ignoreMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}
