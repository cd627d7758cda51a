import { chmod, rm } from 'node:fs/promises'
import { type FastifyInstance, fastify } from 'fastify'
import { InvalidInput } from '../../core/errors.ts'

/**
 * What the operator tells and takes over its socket (0600, in its state directory); the run API serves the same routes on TLS later. Each
 * file beside this one has some of them, with what they take and answer.
 *
 * A question that cannot be is answered by 400 and {"field", "message"}; a fault by 503 and {"message"}.
 */
export type Routes = (server: FastifyInstance) => void

export async function serveApi(path: string, routes: readonly Routes[]): Promise<{ close(): Promise<void> }> {
  // What a killed operator left; the state directory's lock says that no other one lives.
  await rm(path, { force: true })
  const server = fastify({ forceCloseConnections: true })
  server.setErrorHandler(async (error, _, reply) => {
    if (error instanceof InvalidInput)
      return reply.code(400).send({ field: error.field, message: error.message })
    return reply.code(503).send({ message: error instanceof Error ? error.message : String(error) })
  })
  for (const each of routes) each(server)
  await server.listen({ path })
  await chmod(path, 0o600)
  return { close: () => server.close() }
}
