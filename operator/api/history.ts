import * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import { OUTCOMES } from '../../core/records/state.ts'
import type { HistoryQuery, LogStore } from '../../store/log/port.ts'
import { Forbidden, type Rights, type RightsOf } from './rights.ts'
import type { Routes } from './server.ts'

/** All namespaces, as a SubjectAccessReview names them. */
const ALL = ''

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
 *                            For one job (namespace, name, kind=job): with the results of its ShellRuns.
 *                            Without a namespace: of the namespaces that the client may read; a page may then have few rows or none
 *
 * `text` is searched only where the client may read all rows: otherwise a cursor or a refusal would say whether output of others has it.
 */
export function historyRoutes({ history }: Pick<LogStore, 'history'>, rightsOf: RightsOf): Routes {
  return server => {
    server.get('/v1/history', async request => {
      const rights = rightsOf(request)
      const query = parseQuery(request.query)
      const { namespace } = query
      if (namespace === undefined) {
        await requireText(rights, query)
        return readable(rights, await history(query), () => undefined)
      }
      const job = query.kind === 'job' ? query.name : undefined
      if (await rights.mayReadLogs({ namespace, job })) return await history(query)
      // The job of a ShellRun is known by its results only.
      if (query.name === undefined || job !== undefined || query.text !== undefined)
        throw new Forbidden(rights.refusal({ namespace, job }))
      const page = await history(query)
      const read = await readable(rights, page, jobOf)
      // It does not name the job of a row: the client has not proved that it may know of one.
      if (read.rows.length < page.rows.length || page.rows.length === 0)
        throw new Forbidden(rights.refusal({ namespace }))
      return read
    })
  }
}

/** Throws Forbidden if the query has a text to search in all namespaces, and the client may not read all of them. */
async function requireText(rights: Rights, { text }: HistoryQuery): Promise<void> {
  if (text === undefined || (await rights.mayReadLogs({ namespace: ALL }))) return
  throw new Forbidden(
    'to search output of all namespaces for a text needs the verb get on shellcronjobs/log in all namespaces: name a namespace',
  )
}

type Page = Awaited<ReturnType<LogStore['history']>>
type Row = Page['rows'][number]

function jobOf({ kind, name, jobName }: Row): string | undefined {
  return kind === 'job' ? name : jobName
}

/** The rows of a page that the client may read. */
async function readable(rights: Rights, page: Page, job: typeof jobOf): Promise<Page> {
  const known = new Map<string, Promise<boolean>>()
  const mayRead = (row: Row) => {
    const of = { namespace: row.namespace, job: job(row) }
    const key = `${of.namespace}/${of.job ?? ''}`
    const answer = known.get(key) ?? rights.mayReadLogs(of)
    known.set(key, answer)
    return answer
  }
  const may = await Promise.all(page.rows.map(mayRead))
  return { ...page, rows: page.rows.filter((_, index) => may[index]) }
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
