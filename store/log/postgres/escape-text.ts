import type { Row } from '../result-rows.ts'

/** PostgreSQL's text cannot hold NUL. U+10FFFF, which is a noncharacter, escapes it and itself. */
const ESCAPE = '\u{10FFFF}'

/** Columns with text from agents and commands. */
const FREE_TEXT = ['signal', 'reason', 'message', 'tail'] as const

/** A row with its free text escaped for PostgreSQL. A lone surrogate becomes U+FFFD. */
export function escaped<T extends Row>(row: T): T {
  return changed(row, value =>
    value.toWellFormed().replaceAll(ESCAPE, `${ESCAPE}1`).replaceAll('\0', `${ESCAPE}0`),
  )
}

/** A row with its free text unescaped. */
export function unescaped(row: Row): Row {
  return changed(row, unescape)
}

function changed<T extends Row>(row: T, change: (value: string) => string): T {
  const texts = FREE_TEXT.map(column => [column, row[column]] as const)
  return {
    ...row,
    ...Object.fromEntries(
      texts.map(([column, value]) => [column, typeof value === 'string' ? change(value) : value]),
    ),
  }
}

function unescape(value: string): string {
  return value.replaceAll(`${ESCAPE}0`, '\0').replaceAll(`${ESCAPE}1`, ESCAPE)
}
