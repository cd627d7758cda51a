export const TAIL_BYTES = 512

/** The last bytes of a run's output, both streams as they came. */
export class Tail {
  #bytes: Buffer = Buffer.alloc(0)
  #whole = true

  push(data: Buffer) {
    if (this.#bytes.length + data.length > TAIL_BYTES) this.#whole = false
    this.#bytes = Buffer.concat([this.#bytes, data.subarray(-TAIL_BYTES)]).subarray(-TAIL_BYTES)
  }

  /** As UTF-8 of at most 512 bytes that begins at a character; bytes that are none become U+FFFD. */
  text(): string {
    const text = decode(this.#bytes, this.#whole)
    const bytes = Buffer.from(text)
    return bytes.length <= TAIL_BYTES ? text : decode(bytes.subarray(-TAIL_BYTES), false)
  }
}

function decode(bytes: Buffer, whole: boolean): string {
  let from = 0
  if (!whole) while (from < 3 && isContinuation(bytes[from])) from++
  return bytes.toString('utf8', from)
}

const isContinuation = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80
