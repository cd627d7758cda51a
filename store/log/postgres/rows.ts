import type { Row } from '../rows.ts'

/** PostgreSQL's text holds no NUL. U+10FFFF, which is no character, stands for it, and escapes itself. */
const ESCAPE = '\u{10FFFF}'

export function escaped<T>(value: T): T | string {
  if (typeof value !== 'string') return value
  return value.toWellFormed().replaceAll(ESCAPE, `${ESCAPE}1`).replaceAll('\0', `${ESCAPE}0`)
}

/** A row with its free texts as they were. */
export function unescaped(row: Row): Row {
  return { ...row, message: plain(row.message), tail: plain(row.tail) }
}

function plain(value: unknown): unknown {
  if (typeof value !== 'string') return value
  return value.replaceAll(`${ESCAPE}0`, '\0').replaceAll(`${ESCAPE}1`, ESCAPE)
}
