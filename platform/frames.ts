/**
 * Length-prefixed JSON on a byte stream: four bytes, big-endian, say how many bytes of UTF-8 JSON follow, at most 16 MiB.
 */
export const MAX_FRAME_BYTES = 16 * 1024 * 1024

const HEADER_BYTES = 4

/** Throws RangeError if the value is longer than a frame may be. */
export function encodeFrame(value: unknown): Buffer {
  const json = JSON.stringify(value)
  const length = Buffer.byteLength(json)
  if (length > MAX_FRAME_BYTES)
    throw new RangeError(`a frame of ${length} bytes exceeds ${MAX_FRAME_BYTES} bytes`)
  const frame = Buffer.allocUnsafe(HEADER_BYTES + length)
  frame.writeUInt32BE(length, 0)
  frame.write(json, HEADER_BYTES)
  return frame
}

/** A buffer for frames is kept for the next frame if it is no larger than this. */
const KEPT_BYTES = 256 * 1024

/**
 * Decodes frames from a stream's pieces. `push` returns the values that a piece completes. Throws RangeError for a length over the limit, and
 * SyntaxError for invalid JSON; the stream cannot be used after either. Neither pieces nor frames are kept, so the caller may reuse their
 * memory: fresh buffers for each would burden the garbage collector.
 */
export class FrameDecoder {
  readonly #parse: (frame: Buffer) => unknown
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #space = Buffer.alloc(0)
  /** Bytes of the incomplete frame, with its header. */
  #held = 0

  constructor(parse: (frame: Buffer) => unknown = frame => JSON.parse(frame.toString('utf8'))) {
    this.#parse = parse
  }

  push(piece: Buffer): unknown[] {
    const values: unknown[] = []
    let at = 0
    while (at < piece.length) {
      if (this.#held < HEADER_BYTES) {
        const copied = piece.copy(this.#header, this.#held, at)
        this.#held += copied
        at += copied
        if (this.#held < HEADER_BYTES) break
      }
      const length = this.#length()
      const missing = length + HEADER_BYTES - this.#held
      const isHere = missing === length && piece.length - at >= length
      const frame = isHere
        ? piece.subarray(at, at + length)
        : this.#gathered(piece.subarray(at, at + missing))
      at += Math.min(missing, piece.length - at)
      if (!frame) break
      this.#held = 0
      values.push(this.#parse(frame))
      if (this.#space.length > KEPT_BYTES) this.#space = Buffer.alloc(0)
    }
    return values
  }

  #length(): number {
    const length = this.#header.readUInt32BE()
    if (length > MAX_FRAME_BYTES)
      throw new RangeError(`a frame of ${length} bytes exceeds ${MAX_FRAME_BYTES} bytes`)
    return length
  }

  /** The frame, if `part` completes it. */
  #gathered(part: Buffer): Buffer | undefined {
    const length = this.#length()
    if (this.#space.length < length) {
      const larger = Buffer.allocUnsafeSlow(length)
      this.#space.copy(larger)
      this.#space = larger
    }
    part.copy(this.#space, this.#held - HEADER_BYTES)
    this.#held += part.length
    return this.#held === HEADER_BYTES + length ? this.#space.subarray(0, length) : undefined
  }
}
