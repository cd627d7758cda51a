import { checkLimit, type Page, positionOf, ROWS_PER_PAGE_SCAN } from '../page-cursor.ts'
import type { HistoryQuery } from '../port.ts'
import type { Row } from '../result-rows.ts'

type Column = keyof Pick<HistoryQuery, 'uid' | 'namespace' | 'name' | 'kind' | 'agent' | 'outcome'>

/** `isBounded`: the statement examines a limited number of rows. Each row has `wanted`, and the last one examined is among them. */
export interface PagePlan {
  sql: string
  parameters: unknown[]
  isBounded: boolean
}

/**
 * The statement for a page. PostgreSQL reads only the partitions (days) that the page needs. Columns that an index has before the time are
 * conditions of the index. Other columns are tested row by row, for a limited number of rows: a query with few matches then takes no longer
 * than others, and its page has a cursor to continue.
 */
export function pageOf(query: HistoryQuery): PagePlan {
  checkLimit(query)
  const parameters: unknown[] = []
  const place = (value: unknown) => `$${parameters.push(value)}`
  const known = knownOf(query)
  const equals = (column: Column) => `${column} = ${place(query[column])}`
  const terms = known.map(equals)
  // Exactly the partial index's condition.
  if (isBad(query) && known.length === 0) terms.push(`outcome <> 'Succeeded'`)
  if (query.from !== undefined) terms.push(`time >= ${place(query.from)}`)
  if (query.to !== undefined) terms.push(`time < ${place(query.to)}`)
  if (query.cursor !== undefined) {
    const { time, id } = positionOf(query.cursor)
    terms.push(`time <= ${place(time)}`, `(time, id) < (${place(time)}, ${place(id)})`)
  }
  const rest = filtersOf(query)
    .filter(column => query[column] !== undefined && !known.includes(column))
    .map(equals)
  const order = 'ORDER BY time DESC, id DESC'
  const all = `SELECT * FROM ${query.withRuns ? jobAndRuns(terms) : `results ${whereOf(terms)}`} ${order}`
  if (rest.length === 0) return { sql: `${all} LIMIT ${place(query.limit)}`, parameters, isBounded: false }
  // The wanted rows, and the last row that was examined.
  const sql = `
    SELECT * FROM (
      SELECT *, (${rest.join(' AND ')}) AS wanted, row_number() OVER (${order}) AS nth
      FROM (${all} LIMIT ${ROWS_PER_PAGE_SCAN}) AS looked) AS numbered
    WHERE wanted OR nth = ${ROWS_PER_PAGE_SCAN} ${order} LIMIT ${place(query.limit + 1)}`
  return { sql, parameters, isBounded: true }
}

function whereOf(terms: readonly string[]): string {
  return terms.length > 0 ? `WHERE ${terms.join(' AND ')}` : ''
}

/** The results of a job, and of its ShellRuns. Each part has an index, and PostgreSQL merges them in the order of the page. */
function jobAndRuns(terms: readonly string[]): string {
  const ofRuns = terms.map(term => term.replace(/^name = /, 'job_name = '))
  return `(SELECT * FROM results ${whereOf([...terms, "kind = 'job'"])}
    UNION ALL SELECT * FROM results ${whereOf([...ofRuns, "kind = 'run'"])}) AS merged`
}

/** The page, from the rows of the plan's statement. */
export function pageIn(rows: readonly Row[], { isBounded }: PagePlan, limit: number): Page {
  if (!isBounded) return { rows: [...rows], last: rows.length === limit ? rows.at(-1) : undefined }
  const page = rows.filter(({ wanted }) => wanted === true).slice(0, limit)
  if (page.length === limit) return { rows: page, last: page.at(-1) }
  const last = rows.at(-1)
  return { rows: page, last: last?.nth === ROWS_PER_PAGE_SCAN ? last : undefined }
}

const FILTERS: readonly Column[] = ['uid', 'namespace', 'name', 'kind', 'agent', 'outcome']

/** The kind is a condition of both parts of a query for a job and its ShellRuns. */
function filtersOf({ withRuns }: HistoryQuery): readonly Column[] {
  return withRuns ? FILTERS.filter(column => column !== 'kind') : FILTERS
}

/** The columns that an index has before the time. */
function knownOf({ uid, namespace, name, kind, agent }: HistoryQuery): Column[] {
  if (uid !== undefined) return ['uid']
  if (namespace !== undefined && name !== undefined) return ['namespace', 'name']
  if (agent !== undefined) return ['agent']
  return kind === 'run' ? ['kind'] : []
}

function isBad({ outcome }: HistoryQuery): boolean {
  return outcome !== undefined && outcome !== 'Succeeded'
}
