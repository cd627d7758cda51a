import { chmod, rm } from 'node:fs/promises'
import { type FastifyInstance, fastify } from 'fastify'
import type { Result } from '../core/records/state.ts'
import type { Problem } from './resources/port.ts'

/**
 * What the operator tells over its socket (0600, in its state directory); the run API serves the same routes on TLS later.
 *
 *   GET /v1/objects    {"objects": [objects with their status], "problems": [of files]}
 *   GET /v1/outcomes   the latest results and each one as it is stored, as JSON lines, until the client goes;
 *                      a client that comes again gets some twice
 */
export interface Api {
  objects(): readonly object[]
  problems(): readonly Problem[]
  /** The latest ones come again at once. Returns the way to stop listening. */
  onOutcome(listener: (result: Result) => void): () => void
}

export async function serveApi(path: string, api: Api): Promise<{ close(): Promise<void> }> {
  // What a killed operator left; the state directory's lock says that no other one lives.
  await rm(path, { force: true })
  const server = fastify({ forceCloseConnections: true })
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
}
