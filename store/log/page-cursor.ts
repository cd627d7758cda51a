import { InvalidInput } from '../../core/errors.ts'
import type { HistoryQuery } from './port.ts'
import { number, type Row } from './result-rows.ts'

/** Rows of a page, as they lie in the table; `last`: there may be more after it. */
export interface Page {
  rows: Row[]
  last: Row | undefined
}

/** Where a page of history ended: the time and id of its last row. */
export interface Position {
  time: number
  id: number
}

export function cursorAt({ time, id }: Position): string {
  return `${time}.${id}`
}

/** Throws InvalidInput for a cursor that no page ended with. */
export function positionOf(cursor: string): Position {
  const [, time, id] = /^(-?\d{1,16})\.(\d{1,16})$/.exec(cursor) ?? []
  if (!time || !id) throw new InvalidInput('cursor', 'is not one that a page of history ended with')
  return { time: Number(time), id: Number(id) }
}

export function positionIn(row: Row): Position {
  return { time: number(row.time) ?? 0, id: number(row.id) ?? 0 }
}

/**
 * So many rows are looked at for a page, if what is asked of them no index answers: it may have fewer rows than its limit, even none, and
 * yet a cursor.
 */
export const ROWS_PER_PAGE_SCAN = 2_000

export function checkLimit({ limit }: HistoryQuery): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000)
    throw new InvalidInput('limit', `must be a whole number from 1 to 1000, not ${limit}`)
}
