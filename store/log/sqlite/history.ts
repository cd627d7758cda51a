import type { HistoryQuery } from '../port.ts'
import { checkLimit, positionOf } from '../position.ts'

type Parameter = string | number

/**
 * The statement for a page. The index is named, so that the planner never sorts a million rows: all have the time (and, as every index of
 * SQLite, the row's id) last, which is the order of the page; but for `uid`, see `historyOf`.
 */
export function pageOf(query: HistoryQuery): { sql: string; parameters: Parameter[] } {
  const { uid, namespace, kind, agent, outcome, from, to, limit } = query
  checkLimit(query)
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
