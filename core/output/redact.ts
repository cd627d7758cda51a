import { becomes } from './secret-forms.ts'

/**
 * Redacts known secret values in a text that is shown: the tail of a command's output. It finds each value and what programs commonly
 * make of it: its lines, its escapes resolved, the strings in its JSON (secret-forms.ts); and each of these as programs commonly write
 * it: in JSON, in a URL, quoted by `sh -x`, and in base64, even wrapped or within other data. Pure.
 */

const MASK = '***'
/** A shorter value is not redacted, because it would be found everywhere. In characters. */
const SHORTEST_REDACTED = 4
/** The same for a part of a value, such as a line of it: parts are often ordinary words. */
const SHORTEST_PART = 8

type Span = readonly [from: number, to: number]

/**
 * `cut`: the text is the end of a longer one, so it may begin within a value. At the end of the text an incomplete value is redacted
 * too, because its writer may have been killed.
 */
export function redact(text: string, values: readonly string[], { cut }: { cut: boolean }): string {
  const whole = values.map(value => value.trim()).filter(isLong)
  if (whole.length === 0 || text === '') return text
  const made = whole.map(becomes)
  const parts = made.flatMap(({ texts }) => texts).filter(part => part.length >= SHORTEST_PART)
  const lines = made.flatMap(({ lines }) => lines).filter(line => line.length >= SHORTEST_PART)
  const plain = new Set([...[...whole, ...parts].flatMap(writings).filter(isLong), ...lines])
  const encoded = new Set([...whole, ...parts].flatMap(base64Writings).filter(isLong))
  const { squeezed, places } = squeeze(text)
  return replaced(text, [
    ...spansOf(text, plain, cut),
    ...spansOf(squeezed, encoded, cut).map(
      ([from, to]): Span => [places[from] ?? 0, (places[to - 1] ?? 0) + 1],
    ),
  ])
}

const isLong = (text: string) => text.length >= SHORTEST_REDACTED

function writings(value: string): string[] {
  const url = encodeURIComponent(value.toWellFormed())
  const strict = url.replaceAll(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
  return [
    value,
    JSON.stringify(value).slice(1, -1),
    url,
    strict,
    url.replaceAll('%20', '+'),
    strict.replaceAll('%20', '+'),
    // As bash and dash quote it under `set -x`.
    value.replaceAll("'", `'\\''`),
    value.replaceAll("'", `'"'"'`),
  ]
}

/** The value with and without the newline that `echo` adds, and the characters that are the same at each offset within longer data. */
function base64Writings(value: string): string[] {
  const bytes = new TextEncoder().encode(value)
  const inside = [0, 1, 2].map(offset => {
    const text = base64(new Uint8Array(offset), bytes)
    return text.slice(Math.ceil((offset * 4) / 3), Math.floor(((offset + bytes.length) * 4) / 3))
  })
  const all = [base64(bytes), base64(bytes, Uint8Array.of(10)), ...inside]
  return [...all, ...all.map(text => text.replaceAll('+', '-').replaceAll('/', '_'))]
}

function base64(...parts: readonly Uint8Array[]): string {
  let text = ''
  // In pieces, because the number of arguments of a call is limited.
  for (const part of parts)
    for (let at = 0; at < part.length; at += 8_192)
      text += String.fromCharCode(...part.subarray(at, at + 8_192))
  return btoa(text)
}

/** Space and every control character before it: tabs, newlines. */
const SPACE = 32

/** Removes white space, because base64 may be wrapped. `places`: the position of each character before. */
function squeeze(text: string): { squeezed: string; places: number[] } {
  const places: number[] = []
  let squeezed = ''
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) <= SPACE) continue
    places.push(at)
    squeezed += text[at]
  }
  return { squeezed, places }
}

function spansOf(text: string, patterns: ReadonlySet<string>, cut: boolean): Span[] {
  return [...patterns].flatMap(pattern => [
    ...occurrences(text, pattern),
    ...(cut ? atStart(text, pattern) : []),
    ...atEnd(text, pattern),
  ])
}

function occurrences(text: string, pattern: string): Span[] {
  const spans: Span[] = []
  for (let at = text.indexOf(pattern); at >= 0; at = text.indexOf(pattern, at + 1))
    spans.push([at, at + pattern.length])
  return spans
}

/** The longest end of the pattern with which the text begins; the whole text if it lies within the pattern. */
function atStart(text: string, pattern: string): Span[] {
  if (pattern.length > text.length && isLong(text) && pattern.includes(text)) return [[0, text.length]]
  const last = pattern.charCodeAt(pattern.length - 1)
  for (let length = Math.min(pattern.length - 1, text.length); length > 0; length--)
    if (text.charCodeAt(length - 1) === last && text.startsWith(pattern.slice(-length))) return [[0, length]]
  return []
}

function atEnd(text: string, pattern: string): Span[] {
  const first = pattern.charCodeAt(0)
  for (let length = Math.min(pattern.length - 1, text.length); length >= SHORTEST_REDACTED; length--) {
    const from = text.length - length
    if (text.charCodeAt(from) === first && text.endsWith(pattern.slice(0, length)))
      return [[from, text.length]]
  }
  return []
}

function replaced(text: string, spans: readonly Span[]): string {
  let result = ''
  let done = 0
  for (const [from, to] of spans.toSorted(([a], [b]) => a - b)) {
    // Adjoining and overlapping spans become one.
    if (from > done || done === 0) result += `${text.slice(done, from)}${MASK}`
    done = Math.max(done, to)
  }
  return result + text.slice(done)
}
