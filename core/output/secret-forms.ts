/** What programs make of a secret value before they print it: they resolve escapes, decode JSON, and print single lines. Pure. */

/** Each text that the value becomes, without the value itself; and each line of the value and of these texts. Trimmed. */
export function becomes(value: string): { texts: string[]; lines: string[] } {
  const all = new Set([value])
  let latest = [value]
  // Two steps: a string of a JSON text may hold escapes, or JSON, again.
  for (let step = 0; step < 2; step++) {
    latest = latest.flatMap(changed).filter(text => !all.has(text))
    for (const text of latest) all.add(text)
  }
  const lines = [...all].flatMap(text => text.split(/\r\n|\r|\n/).map(line => line.trim()))
  return { texts: [...all].slice(1), lines: [...new Set(lines)] }
}

function changed(text: string): string[] {
  const resolved = text.includes('\\') ? [resolve(text, OF_ECHO), resolve(text, OF_PRINTF)] : []
  return [...resolved, ...stringsInJson(text)].map(each => each.trim())
}

/** As dash's `echo` resolves escapes. `\c` ends the output. */
const OF_ECHO = /\\(?:(?<letter>[abfnrtv\\])|0(?<octal>[0-7]{1,3})|c[^]*)/g

/** As `printf`, bash's `echo -e` and decoders of JSON resolve them. */
const OF_PRINTF =
  /\\(?:(?<letter>[abefnrtv\\"'/])|(?<octal>[0-7]{1,3})|x(?<byte>[\da-f]{1,2})|u(?<unit>[\da-f]{4})|c[^]*)/gi

const LETTERS: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  e: '\u001b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

type Escape = Partial<Record<'letter' | 'octal' | 'byte' | 'unit', string>>

function resolve(text: string, escapes: RegExp): string {
  return text.replaceAll(escapes, (...match: unknown[]) => {
    // The groups come last.
    const { letter, octal, byte, unit } = match.at(-1) as Escape
    if (letter !== undefined) return LETTERS[letter.toLowerCase()] ?? letter
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8))
    const hex = byte ?? unit
    return hex === undefined ? '' : String.fromCharCode(Number.parseInt(hex, 16))
  })
}

/** The strings in a JSON text, at any depth. Names of fields are no secrets. */
function stringsInJson(text: string): string[] {
  // Most values are no JSON: an exception for each of them would be slow.
  if (!/^[{["]/.test(text)) return []
  try {
    return stringsIn(JSON.parse(text))
  } catch {
    return []
  }
}

function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (value === null || typeof value !== 'object') return []
  return Object.values(value).flatMap(stringsIn)
}
