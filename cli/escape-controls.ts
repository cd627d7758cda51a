/**
 * Makes text from elsewhere safe to print: file names, fields of objects, output of commands, messages that quote them. A terminal obeys
 * control characters (ESC, BEL, the C1 range), and bidirectional controls make text look like other text. Both become escapes, which
 * JSON allows in strings too: JSON is escaped after it is written.
 */

/** C0, DEL and C1; bidirectional marks, embeddings, overrides and isolates; the line and paragraph separator; unpaired surrogates; interlinear marks. */
const UNSAFE = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}\p{Cs}\ufff9-\ufffb]/gu

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

export function escapeControls(text: string): string {
  return text.replaceAll(
    UNSAFE,
    char => SHORT[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** The same for text of several lines. */
export function escapeLines(text: string): string {
  return text.split('\n').map(escapeControls).join('\n')
}

/** JSON on one line, without a character that a terminal obeys. */
export function toJsonLine(value: unknown): string {
  return `${escapeControls(JSON.stringify(value))}\n`
}
