import type { HistoryQuery } from '../port.ts'
import { checkLimit, positionOf } from '../position.ts'

/** The statement for a page. Partitions hold different days: those that are not needed for it are not looked into. */
export function pageOf(query: HistoryQuery): { sql: string; parameters: unknown[] } {
  checkLimit(query)
  const parameters: unknown[] = []
  const terms: string[] = []
  const term = (sql: (place: string) => string, value: unknown) => {
    if (value === undefined) return
    parameters.push(value)
    terms.push(sql(`$${parameters.length}`))
  }
  for (const column of ['uid', 'namespace', 'name', 'kind', 'agent', 'outcome'] as const)
    term(place => `${column} = ${place}`, query[column])
  if (query.outcome !== undefined && query.outcome !== 'Succeeded') terms.push(`outcome <> 'Succeeded'`)
  term(place => `time >= ${place}`, query.from)
  term(place => `time < ${place}`, query.to)
  if (query.cursor !== undefined) {
    const { time, id } = positionOf(query.cursor)
    term(place => `time <= ${place}`, time)
    parameters.push(time, id)
    terms.push(`(time, id) < ($${parameters.length - 1}, $${parameters.length})`)
  }
  parameters.push(query.limit)
  const where = terms.length > 0 ? `WHERE ${terms.join(' AND ')}` : ''
  return {
    sql: `SELECT * FROM results ${where} ORDER BY time DESC, id DESC LIMIT $${parameters.length}`,
    parameters,
  }
}
