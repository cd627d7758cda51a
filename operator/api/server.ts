import { chmod, rm } from 'node:fs/promises'
import { type FastifyError, type FastifyInstance, fastify } from 'fastify'
import { InvalidInput } from '../../core/errors.ts'
import type { Log } from '../../platform/log.ts'

/**
 * The HTTP API on the operator's socket (mode 0600, in its state directory). The other files of this folder have the routes, with their
 * requests and answers.
 *
 * An invalid request is answered with 400 and {"field", "message"}, a fault with 503 and {"message"}.
 */
export type Routes = (server: FastifyInstance) => void

/** A run's id consists of four names. */
const MAX_ID_LENGTH = 512

export async function serveApi(
  path: string,
  routes: readonly Routes[],
  log: Log,
): Promise<{ close(): Promise<void> }> {
  // A killed operator leaves its socket. The lock of the state directory ensures that no other operator uses it.
  await rm(path, { force: true })
  const server = fastify({ forceCloseConnections: true, routerOptions: { maxParamLength: MAX_ID_LENGTH } })
  server.setErrorHandler<FastifyError>(async (error, { method, url }, reply) => {
    const { message, statusCode = 503 } = error
    if (error instanceof InvalidInput) return reply.code(400).send({ field: error.field, message })
    // The body is not JSON, or too long.
    if (statusCode < 500) return reply.code(400).send({ message })
    log.warn({ method, url, error: message }, 'api.fault')
    return reply.code(503).send({ message })
  })
  for (const each of routes) each(server)
  await server.listen({ path })
  await chmod(path, 0o600)
  return { close: () => server.close() }
}
