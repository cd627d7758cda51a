import { checkLimit, positionOf, ROWS_PER_PAGE_SCAN } from '../page-cursor.ts'
import type { HistoryQuery } from '../port.ts'
import type { Row } from '../result-rows.ts'

type Parameter = string | number

/** The first column of an index. Rows need not be tested for it. */
type Known = keyof Pick<HistoryQuery, 'uid' | 'agent' | 'namespace' | 'kind'>

/**
 * How to read a page: the statement returns rows in the page's order, and `isWanted` selects those that are on it. `most`: how many rows are
 * read at most, so that a query with few matches takes no longer than others. undefined: every row is wanted, and `limit` are read.
 */
export interface PagePlan {
  sql: string
  parameters: Parameter[]
  isWanted(row: Row): boolean
  most: number | undefined
}

/**
 * Names the index, so that the planner never sorts a million rows. Every index has the time last, and then the row's id as all of SQLite's
 * indexes do: this is the page's order. The index by `uid` also has the run, but is read for one uid at a time.
 */
export function pageOf(query: HistoryQuery): PagePlan {
  checkLimit(query)
  const { index, known } = indexFor(query)
  const terms = termsOf(query, known)
  if (known && known !== 'kind') terms.unshift([`${known} = ?`, query[known] ?? ''])
  const rest = restOf(query, known)
  const most = rest.length > 0 || query.withRuns ? ROWS_PER_PAGE_SCAN : undefined
  return {
    sql: `SELECT * FROM results INDEXED BY ${index} ${whereOf(terms)} ORDER BY time DESC, id DESC LIMIT ?`,
    parameters: [...parametersOf(terms), most ?? query.limit],
    isWanted: row => rest.every(([column, value]) => row[column] === value) && isOfJob(row, query),
    most,
  }
}

/** Selects each uid that objects of this name had, with the time of its newest row on or after the cursor, the newest first. */
export function incarnationsOf(query: HistoryQuery): Pick<PagePlan, 'sql' | 'parameters'> {
  const { namespace = '', name = '' } = query
  const { index, known } = indexFor({ ...query, uid: '' })
  const terms: Term[] = [['uid = objects.uid'], ...termsOf(query, known)]
  const newest = `SELECT time FROM results INDEXED BY ${index} ${whereOf(terms)} ORDER BY time DESC LIMIT 1`
  return {
    sql: `SELECT * FROM (SELECT uid, (${newest}) AS newest FROM objects WHERE namespace = ? AND name = ?)
      WHERE newest IS NOT NULL ORDER BY newest DESC`,
    parameters: [...parametersOf(terms), namespace, name],
  }
}

/** A condition in SQL, and its parameters. */
type Term = [string, ...Parameter[]]

/** The conditions that the index answers, except the one on its first column. */
function termsOf(query: HistoryQuery, known: Known | undefined): Term[] {
  const { from, to } = query
  const after = query.cursor === undefined ? undefined : positionOf(query.cursor)
  const terms: Term[] = []
  // Literals, not parameters: SQLite uses a partial index only if it sees the index's condition.
  if (known === 'agent') terms.push(['agent IS NOT NULL'])
  if (known === 'kind') terms.push(["kind = 'run'"])
  if (isBad(query) && known !== 'kind') terms.push(["outcome <> 'Succeeded'"])
  if (from !== undefined) terms.push(['time >= ?', from])
  if (to !== undefined) terms.push(['time < ?', to])
  if (after) terms.push(['(time, id) < (?, ?)', after.time, after.id])
  return terms
}

function whereOf(terms: readonly Term[]): string {
  return terms.length > 0 ? `WHERE ${terms.map(([term]) => term).join(' AND ')}` : ''
}

function parametersOf(terms: readonly Term[]): Parameter[] {
  return terms.flatMap(([, ...values]) => values)
}

/** Whether a query for a job and its ShellRuns wants the row. True for any other query. */
function isOfJob(row: Row, { withRuns, name }: HistoryQuery): boolean {
  if (!withRuns) return true
  return row.kind === 'job' ? row.name === name : row.job_name === name
}

/** The conditions that are tested for each row. */
function restOf(query: HistoryQuery, known: Known | undefined): [string, string][] {
  const { uid, namespace, agent, outcome, withRuns } = query
  const { name, kind } = withRuns ? {} : query
  const asked = Object.entries({ uid, namespace, name, kind, agent, outcome })
  return asked.flatMap(([column, value]) =>
    value === undefined || column === known ? [] : [[column, value] as [string, string]],
  )
}

function indexFor(query: HistoryQuery): { index: string; known: Known | undefined } {
  const { uid, namespace, kind, agent } = query
  const bad = isBad(query) ? 'results_bad' : 'results'
  if (uid !== undefined) return { index: `${bad}_uid`, known: 'uid' }
  if (agent !== undefined) return { index: `${bad}_agent`, known: 'agent' }
  if (kind === 'run') return { index: 'results_run_time', known: 'kind' }
  if (namespace !== undefined) return { index: `${bad}_namespace`, known: 'namespace' }
  return { index: `${bad}_time`, known: undefined }
}

function isBad({ outcome }: HistoryQuery): boolean {
  return outcome !== undefined && outcome !== 'Succeeded'
}
