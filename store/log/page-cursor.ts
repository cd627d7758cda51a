import { InvalidInput } from '../../core/errors.ts'
import type { HistoryQuery } from './port.ts'
import { number, type Row } from './result-rows.ts'

/** The rows of a page. `last`: the row after which the next page starts; undefined: there is none. */
export interface Page {
  rows: Row[]
  last: Row | undefined
}

/** The position where a page ended: the time and id of its last row. */
export interface Position {
  time: number
  id: number
}

export function cursorAt({ time, id }: Position): string {
  return `${time}.${id}`
}

/** Throws InvalidInput if the cursor is malformed. */
export function positionOf(cursor: string): Position {
  const [, time, id] = /^(-?\d{1,16})\.(\d{1,16})$/.exec(cursor) ?? []
  if (!time || !id)
    throw new InvalidInput('cursor', `must be the cursor of the page before, not ${JSON.stringify(cursor)}`)
  return { time: Number(time), id: Number(id) }
}

export function positionIn(row: Row): Position {
  return { time: number(row.time) ?? 0, id: number(row.id) ?? 0 }
}

/**
 * How many rows a page examines if no index answers the query. Such a page may have fewer rows than its limit, or none, and still a cursor.
 */
export const ROWS_PER_PAGE_SCAN = 2_000

export function checkLimit({ limit }: HistoryQuery): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000)
    throw new InvalidInput('limit', `must be a whole number from 1 to 1000, not ${limit}`)
}
