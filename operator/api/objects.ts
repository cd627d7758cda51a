import * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import type { Result } from '../../core/records/state.ts'
import type { Problem } from '../resources/port.ts'
import type { Page, ShownObject } from './page.ts'
import type { Routes } from './server.ts'

const pageQuery = z.strictObject({ rows: z.coerce.number().int().min(0).max(10_000).optional() })

function parsedQuery(query: unknown): z.infer<typeof pageQuery> {
  const { data, error } = pageQuery.safeParse(query)
  if (error) throw new InvalidInput('rows', error.issues[0]?.message ?? 'is not valid')
  return data
}

/**
 *   GET  /v1/objects?rows=   {"objects": [objects with their status], "more": how many are left out, "problems": [of files]};
 *                            with `rows` a page of so many jobs and runs (page.ts), otherwise all objects
 *   GET  /v1/comparison      {"done": whether everything that etcd held at the operator's start has been compared with the objects}
 *   GET  /v1/outcomes        the latest results, then each new one when it is stored, as JSON lines, until the client disconnects;
 *                            a client that connects again gets some results twice
 */
export function objectRoutes(of: {
  objects(): readonly ShownObject[]
  page(rows: number): Page
  problems(): readonly Problem[]
  compared(): boolean
  /** Calls the listener with the latest results at once. Returns a function that removes it. */
  onOutcome(listener: (result: Result) => void): () => void
}): Routes {
  return server => {
    server.get('/v1/objects', ({ query }) => {
      const { rows } = parsedQuery(query)
      const page = rows === undefined ? { objects: of.objects(), more: 0 } : of.page(rows)
      return { ...page, problems: of.problems() }
    })
    server.get('/v1/comparison', () => ({ done: of.compared() }))
    server.get('/v1/outcomes', async (request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200, { 'content-type': 'application/x-ndjson' })
      reply.raw.flushHeaders()
      const stop = of.onOutcome(result => reply.raw.write(`${JSON.stringify(result)}\n`))
      request.raw.on('close', stop)
    })
  }
}
