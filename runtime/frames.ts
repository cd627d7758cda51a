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

/**
 * Takes a stream's pieces as they come and returns the values that each completes. Throws RangeError for a length over the limit
 * and SyntaxError for what is not JSON: the stream is of no use after either.
 */
export class FrameDecoder {
  #pieces: Buffer[] = []
  #held = 0

  push(piece: Buffer): unknown[] {
    const values: unknown[] = []
    this.#pieces.push(piece)
    this.#held += piece.length
    while (this.#held >= HEADER_BYTES) {
      const length = this.#peek(HEADER_BYTES).readUInt32BE(0)
      if (length > MAX_FRAME_BYTES)
        throw new RangeError(`a frame of ${length} bytes exceeds ${MAX_FRAME_BYTES} bytes`)
      if (this.#held < HEADER_BYTES + length) break
      const frame = this.#peek(HEADER_BYTES + length).subarray(HEADER_BYTES, HEADER_BYTES + length)
      this.#drop(HEADER_BYTES + length)
      values.push(JSON.parse(frame.toString('utf8')))
    }
    return values
  }

  /** The first piece, joined with later ones until it has at least `bytes`. */
  #peek(bytes: number): Buffer {
    const [first] = this.#pieces
    if (first && first.length >= bytes) return first
    const joined = Buffer.concat(this.#pieces)
    this.#pieces = [joined]
    return joined
  }

  #drop(bytes: number) {
    const [first] = this.#pieces
    if (!first) return
    this.#held -= bytes
    if (first.length === bytes) this.#pieces.shift()
    else this.#pieces[0] = first.subarray(bytes)
  }
}
