/**
 * Parses a message from the launcher. In a `read` answer, `data` is decoded from the frame in small steps and becomes a Buffer. Plain
 * JSON.parse would make two strings of it, the frame's and the value's: a gigabyte of output would leave two gigabytes in the heap, in
 * strings too large to be reused.
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
/** Decoding a shorter frame in steps saves nothing. */
const WORTH_BYTES = 4 * 1024
/** A multiple of four, because four base64 characters make three bytes. */
const STEP = 8 * 1024

/** The range between the quotes of `data`. The name cannot occur in a value before it, because JSON escapes quotes in values. */
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
