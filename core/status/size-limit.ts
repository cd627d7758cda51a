/** Cuts texts and lists to the size limit of a status. */

const encoder = new TextEncoder()

/** The size limit of a status, bytes of JSON. */
export const LARGEST_STATUS = 16 * 1_024

/** Bytes of JSON as a Go server writes it. Go escapes more characters: `<` takes six bytes. */
export function jsonBytes(value: unknown): number {
  const json = JSON.stringify(value) ?? ''
  let bytes = encoder.encode(json).length
  for (const [escaped] of json.matchAll(/[<>&\u2028\u2029]/g)) bytes += 6 - encoder.encode(escaped).length
  return bytes
}

/** The start of a text, at most `bytes` of JSON without its quotes. A cut text ends in '…'. */
export function head(text: string, bytes: number): string {
  const whole = text.toWellFormed()
  if (jsonBytes(whole) - 2 <= bytes) return whole
  const taken = prefixWithin(Array.from(whole), bytes - encoder.encode('…').length)
  return `${taken.join('')}…`
}

/** The end of a text, at most `bytes` of JSON without its quotes. */
export function tail(text: string, bytes: number): string {
  const whole = text.toWellFormed()
  if (jsonBytes(whole) - 2 <= bytes) return whole
  return prefixWithin(Array.from(whole).toReversed(), bytes).toReversed().join('')
}

/** The first line that is not blank, at most `most` characters. A cut line ends in '…'. */
export function firstLine(text: string, most: number): string {
  const line = text.split('\n').find(one => one.trim() !== '') ?? ''
  return short(line.trim(), most)
}

/** The start of a text, at most `most` characters. A cut text ends in '…'. */
export function short(text: string, most: number): string {
  const characters = Array.from(text.toWellFormed())
  return characters.length <= most ? characters.join('') : `${characters.slice(0, most - 1).join('')}…`
}

/** The longest prefix within `bytes`. */
function prefixWithin(characters: readonly string[], bytes: number): string[] {
  let left = bytes
  const end = characters.findIndex(character => {
    left -= jsonBytes(character) - 2
    return left < 0
  })
  return characters.slice(0, end < 0 ? characters.length : end)
}

/** The status with as many of its newest runs as fit. */
export function withFittingRuns<S extends { runs?: unknown[] | undefined }>(status: S): S {
  const { runs = [] } = status
  let left = LARGEST_STATUS - jsonBytes({ ...status, runs: [] })
  let count = 0
  for (const run of runs) {
    left -= jsonBytes(run) + 1
    if (left < 0) break
    count++
  }
  return count === runs.length ? status : { ...status, runs: runs.slice(0, count) }
}
