/**
 * JSON of the launcher's. The output in a `read` answer is decoded where it lies, piece by piece, and is a Buffer in its place: as strings, the
 * frame's and the value's, a gigabyte of it would leave two in the heap, in pieces too large to be reused.
 */
export function parseMessage(frame: Buffer): unknown {
  const place = placeOfData(frame)
  if (!place) return JSON.parse(frame.toString('utf8'))
  const { from, to } = place
  const rest = Buffer.concat([frame.subarray(0, from), frame.subarray(to)]).toString('utf8')
  const message: unknown = JSON.parse(rest)
  return typeof message === 'object' ? { ...message, data: decoded(frame, from, to) } : message
}

const START = '{"type":"read"'
const DATA = '"data":"'
/** What is shorter costs nothing. */
const WORTH_BYTES = 4 * 1024
/** A multiple of four, as four characters are three bytes. */
const STEP = 8 * 1024

/** Between the quotes. A quote in a value before it would have a backslash: nothing else in there reads as this name. */
function placeOfData(frame: Buffer): { from: number; to: number } | undefined {
  if (frame.length < WORTH_BYTES || frame.toString('latin1', 0, START.length) !== START) return undefined
  const name = frame.indexOf(DATA)
  const from = name + DATA.length
  const to = frame.indexOf('"', from)
  return name < 0 || to < 0 ? undefined : { from, to }
}

function decoded(frame: Buffer, from: number, to: number): Buffer {
  const bytes = Buffer.allocUnsafe(Math.ceil(((to - from) * 3) / 4))
  let length = 0
  for (let at = from; at < to; at += STEP)
    length += bytes.write(frame.toString('latin1', at, Math.min(at + STEP, to)), length, 'base64')
  return bytes.subarray(0, length)
}
