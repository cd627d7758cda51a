import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'

export type TextFile = { kind: 'text'; text: string } | { kind: 'refused'; why: string }

interface Limits {
  maxBytes: number
  /** Why a file with these properties is refused. undefined: it is not. */
  judge?: (stats: Stats) => string | undefined | Promise<string | undefined>
}

const { O_RDONLY, O_NONBLOCK, O_NOCTTY } = constants
const CHUNK_BYTES = 65_536

/**
 * Reads a file whose content nobody has checked. It never waits for a writer, and never reads more than `maxBytes`: FIFOs, devices, endless
 * and huge files are refused, also behind a symbolic link. Throws what the file system throws.
 */
export async function readTextFile(
  path: string,
  { maxBytes, judge = () => undefined }: Limits,
): Promise<TextFile> {
  // Opening a device may already have an effect. The file is judged again once it is open, because its path may change in between.
  const refusal = async (stats: Stats) =>
    wrongKind(stats) ?? (await judge(stats)) ?? tooLarge(stats.size, maxBytes)
  const before = await refusal(await stat(path))
  if (before !== undefined) return { kind: 'refused', why: before }
  const file = await open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
  try {
    const why = await refusal(await file.stat())
    return why === undefined ? await textOf(chunksOf(file), maxBytes) : { kind: 'refused', why }
  } finally {
    await file.close()
  }
}

/** The whole text of a stream, as UTF-8, if it has at most `maxBytes`. */
export async function textOf(
  chunks: AsyncIterable<Uint8Array | string>,
  maxBytes: number,
): Promise<TextFile> {
  const parts: Buffer[] = []
  let size = 0
  for await (const chunk of chunks) {
    const part = Buffer.from(chunk)
    size += part.length
    const why = tooLarge(size, maxBytes)
    if (why !== undefined) return { kind: 'refused', why }
    parts.push(part)
  }
  return { kind: 'text', text: Buffer.concat(parts).toString('utf8') }
}

/** The size that a file reports is not its length: files of /proc report 0. */
async function* chunksOf(file: FileHandle): AsyncIterable<Uint8Array> {
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, null)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}

function tooLarge(size: number, maxBytes: number): string | undefined {
  return size > maxBytes ? `is larger than ${maxBytes} bytes; split it` : undefined
}

function wrongKind(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined
  const kinds = [
    ['a directory', stats.isDirectory()],
    ['a FIFO', stats.isFIFO()],
    ['a socket', stats.isSocket()],
    ['a device', stats.isCharacterDevice() || stats.isBlockDevice()],
  ] as const
  const kind = kinds.find(([, is]) => is)?.[0] ?? 'of an unknown kind'
  return `is ${kind}, not a regular file`
}
