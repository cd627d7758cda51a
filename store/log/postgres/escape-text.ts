import type { Row } from '../result-rows.ts'

/** PostgreSQL's text holds no NUL. U+10FFFF, which is no character, stands for it, and escapes itself. */
const ESCAPE = '\u{10FFFF}'

/** What agents and commands said, in their words. */
const FREE = ['signal', 'reason', 'message', 'tail'] as const

/** Columns with their free texts as PostgreSQL takes them. A surrogate without the other one, which is no text, becomes U+FFFD. */
export function escaped<T extends Row>(row: T): T {
  return changed(row, said =>
    said.toWellFormed().replaceAll(ESCAPE, `${ESCAPE}1`).replaceAll('\0', `${ESCAPE}0`),
  )
}

/** A row with its free texts as they were. */
export function unescaped(row: Row): Row {
  return changed(row, plain)
}

function changed<T extends Row>(row: T, change: (said: string) => string): T {
  const said = FREE.map(column => [column, row[column]] as const)
  return {
    ...row,
    ...Object.fromEntries(
      said.map(([column, value]) => [column, typeof value === 'string' ? change(value) : value]),
    ),
  }
}

function plain(said: string): string {
  return said.replaceAll(`${ESCAPE}0`, '\0').replaceAll(`${ESCAPE}1`, ESCAPE)
}
