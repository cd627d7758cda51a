import { InvalidInput } from '../../../core/errors.ts'
import type { HistoryQuery } from '../port.ts'
import { number, type Row } from './rows.ts'

/** Where a page ended: the time and id of its last row. */
interface Position {
  time: number
  id: number
}

type Parameter = string | number

/**
 * The statement for a page. The index is named, so that the planner never sorts a million rows: all have the time (and, as every index of
 * SQLite, the row's id) last, which is the order of the page; but for `uid`, see `historyOf`.
 */
export function pageOf(query: HistoryQuery): { sql: string; parameters: Parameter[] } {
  const { uid, namespace, kind, agent, outcome, from, to, limit } = query
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000)
    throw new InvalidInput('limit', `must be a whole number from 1 to 1000, not ${limit}`)
  const after = query.cursor === undefined ? undefined : positionOf(query.cursor)
  const terms: [string, ...Parameter[]][] = []
  const equals = (column: string, value: string | undefined) => {
    if (value !== undefined) terms.push([`${column} = ?`, value])
  }
  equals('uid', uid)
  equals('namespace', namespace)
  equals('name', query.name)
  equals('agent', agent)
  equals('outcome', outcome)
  // Literals, as it is by them that SQLite knows that a partial index will do.
  if (kind) terms.push([`kind = '${kind === 'run' ? 'run' : 'job'}'`])
  if (agent !== undefined) terms.push(['agent IS NOT NULL'])
  if (isBad(query)) terms.push(["outcome <> 'Succeeded'"])
  if (from !== undefined) terms.push(['time >= ?', from])
  if (to !== undefined) terms.push(['time < ?', to])
  if (after) terms.push(['(time, id) < (?, ?)', after.time, after.id])
  const where = terms.length > 0 ? `WHERE ${terms.map(([term]) => term).join(' AND ')}` : ''
  return {
    sql: `SELECT * FROM results INDEXED BY ${indexFor(query)} ${where} ORDER BY time DESC, id DESC LIMIT ?`,
    parameters: [...terms.flatMap(([, ...values]) => values), limit],
  }
}

function indexFor(query: HistoryQuery): string {
  const { uid, namespace, kind, agent } = query
  const bad = isBad(query) ? 'results_bad' : 'results'
  if (uid !== undefined) return `${bad}_uid`
  if (agent !== undefined) return `${bad}_agent`
  if (kind === 'run') return 'results_run_time'
  if (namespace !== undefined) return `${bad}_namespace`
  return `${bad}_time`
}

function isBad({ outcome }: HistoryQuery): boolean {
  return outcome !== undefined && outcome !== 'Succeeded'
}

/** Rows of a page, as they lie in the table; `last`: there may be more after it. */
export interface Page {
  rows: Row[]
  last: Row | undefined
}

export function positionIn(row: Row): Position {
  return { time: number(row.time) ?? 0, id: number(row.id) ?? 0 }
}

export function cursorAt({ time, id }: Position): string {
  return `${time}.${id}`
}

function positionOf(cursor: string): Position {
  const [, time, id] = /^(-?\d{1,16})\.(\d{1,16})$/.exec(cursor) ?? []
  if (!time || !id) throw new InvalidInput('cursor', 'is not one that a page of history ended with')
  return { time: Number(time), id: Number(id) }
}
