import { chmod, rm } from 'node:fs/promises'
import { type FastifyError, type FastifyInstance, fastify } from 'fastify'
import { InvalidInput } from '../../core/errors.ts'
import type { Log } from '../../platform/log.ts'

/**
 * What the operator tells and takes over its socket (0600, in its state directory); the run API serves the same routes on TLS later. Each
 * file beside this one has some of them, with what they take and answer.
 *
 * A question that cannot be is answered by 400 and {"field", "message"}; a fault by 503 and {"message"}.
 */
export type Routes = (server: FastifyInstance) => void

/** The id of a run holds four names. */
const LONGEST_ID = 512

export async function serveApi(
  path: string,
  routes: readonly Routes[],
  log: Log,
): Promise<{ close(): Promise<void> }> {
  // What a killed operator left; the state directory's lock says that no other one lives.
  await rm(path, { force: true })
  const server = fastify({ forceCloseConnections: true, routerOptions: { maxParamLength: LONGEST_ID } })
  server.setErrorHandler<FastifyError>(async (error, { method, url }, reply) => {
    const { message, statusCode = 503 } = error
    if (error instanceof InvalidInput) return reply.code(400).send({ field: error.field, message })
    // What is no JSON, or too long.
    if (statusCode < 500) return reply.code(400).send({ message })
    log.warn({ method, url, error: message }, 'api.fault')
    return reply.code(503).send({ message })
  })
  for (const each of routes) each(server)
  await server.listen({ path })
  await chmod(path, 0o600)
  return { close: () => server.close() }
}
