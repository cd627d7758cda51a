import * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import { OUTCOMES } from '../../core/records/state.ts'
import type { HistoryQuery, LogStore } from '../../store/log/port.ts'
import type { Routes } from './server.ts'

const instant = z.coerce.number().int().optional()
const historyQuery = z.strictObject({
  namespace: z.string().optional(),
  name: z.string().optional(),
  kind: z.enum(['job', 'run']).optional(),
  agent: z.string().optional(),
  outcome: z.enum(OUTCOMES).optional(),
  text: z.string().optional(),
  from: instant,
  to: instant,
  limit: z.coerce.number().default(20),
  cursor: z.string().optional(),
})

/**
 *   GET  /v1/history?…       {"rows": [results, newest first], "cursor"?}; the query has the fields of HistoryQuery.
 *                            For one job (namespace, name, kind=job): with the results of its ShellRuns
 */
export function historyRoutes({ history }: Pick<LogStore, 'history'>): Routes {
  return server => {
    server.get('/v1/history', async request => await history(parseQuery(request.query)))
  }
}

function parseQuery(query: unknown): HistoryQuery {
  const { data, error } = historyQuery.safeParse(query)
  if (data) {
    const given = Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined))
    const { namespace, name, kind } = data
    const isJob = kind === 'job' && namespace !== undefined && name !== undefined
    return { ...given, limit: data.limit, ...(isJob ? { withRuns: true } : {}) }
  }
  const [issue] = error.issues
  throw new InvalidInput(issue?.path.join('.') ?? 'query', issue?.message ?? 'is not valid')
}
