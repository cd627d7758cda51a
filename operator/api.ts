import { chmod, rm } from 'node:fs/promises'
import { type FastifyInstance, fastify } from 'fastify'
import { z } from 'zod'
import { InvalidInput } from '../core/errors.ts'
import { OUTCOMES, type Result } from '../core/records/state.ts'
import type { HistoryQuery, LogStore } from '../store/log/port.ts'
import type { Problem } from './resources/port.ts'

/**
 * What the operator tells over its socket (0600, in its state directory); the run API serves the same routes on TLS later.
 *
 *   GET  /v1/objects         {"objects": [objects with their status], "problems": [of files]}
 *   GET  /v1/outcomes        the latest results and each one as it is stored, as JSON lines, until the client goes;
 *                            a client that comes again gets some twice
 *   GET  /v1/history?…       {"rows": [results, newest first], "cursor"?}; the query is HistoryQuery's
 *   POST /v1/runs/ID/kill    {"attempts": how many were asked to end}; ID as status and history show it
 *
 * A query that cannot be is answered by 400 and {"field", "message"}.
 */
export interface Api {
  objects(): readonly object[]
  problems(): readonly Problem[]
  /** The latest ones come again at once. Returns the way to stop listening. */
  onOutcome(listener: (result: Result) => void): () => void
  history: LogStore['history']
  /** Asks the owners to end a run, or every part of it; answers how many. */
  kill(run: string): Promise<number>
}

const instant = z.coerce.number().int().optional()
const historyQuery = z.strictObject({
  namespace: z.string().optional(),
  name: z.string().optional(),
  kind: z.enum(['job', 'run']).optional(),
  agent: z.string().optional(),
  outcome: z.enum(OUTCOMES).optional(),
  from: instant,
  to: instant,
  limit: z.coerce.number().default(20),
  cursor: z.string().optional(),
})

export async function serveApi(path: string, api: Api): Promise<{ close(): Promise<void> }> {
  // What a killed operator left; the state directory's lock says that no other one lives.
  await rm(path, { force: true })
  const server = fastify({ forceCloseConnections: true })
  server.setErrorHandler(async (error, _, reply) => {
    if (error instanceof InvalidInput)
      return reply.code(400).send({ field: error.field, message: error.message })
    return reply.code(503).send({ message: error instanceof Error ? error.message : String(error) })
  })
  routes(server, api)
  await server.listen({ path })
  await chmod(path, 0o600)
  return { close: () => server.close() }
}

function routes(server: FastifyInstance, api: Api): void {
  server.get('/v1/objects', () => ({ objects: api.objects(), problems: api.problems() }))
  server.get('/v1/outcomes', async (request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'application/x-ndjson' })
    reply.raw.flushHeaders()
    const stop = api.onOutcome(result => reply.raw.write(`${JSON.stringify(result)}\n`))
    request.raw.on('close', stop)
  })
  server.get('/v1/history', async request => await api.history(parseQuery(request.query)))
  server.post<{ Params: { id: string } }>('/v1/runs/:id/kill', async request => ({
    attempts: await api.kill(request.params.id),
  }))
}

function parseQuery(query: unknown): HistoryQuery {
  const { data, error } = historyQuery.safeParse(query)
  if (data)
    return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined)) as never
  const [issue] = error.issues
  throw new InvalidInput(issue?.path.join('.') ?? 'query', issue?.message ?? 'cannot be read')
}
