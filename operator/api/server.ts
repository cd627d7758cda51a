import { type FastifyError, type FastifyInstance, fastify } from 'fastify'
import { InvalidInput } from '../../core/errors.ts'
import type { Log } from '../../platform/log.ts'
import { listenPrivately } from '../../platform/private-socket.ts'
import { Forbidden, Unauthenticated } from './rights.ts'

/**
 * The HTTP API: on the operator's socket (mode 0600, in its state directory), and for users of a cluster on its TLS port (users/). The other
 * files of this folder have the routes, with their requests and answers.
 *
 * An invalid request is answered with 400 and {"field", "message"}, a missing right with 403, an unknown user with 401, a fault with 503,
 * and {"message"}.
 */
export type Routes = (server: FastifyInstance) => void

/** A run's id consists of four names. */
const MAX_ID_LENGTH = 512

export function createApi(routes: readonly Routes[], log: Log): FastifyInstance {
  const server = fastify({ forceCloseConnections: true, routerOptions: { maxParamLength: MAX_ID_LENGTH } })
  server.setErrorHandler<FastifyError>(async (error, { method, url }, reply) => {
    const { message, statusCode = 503 } = error
    if (error instanceof InvalidInput) return reply.code(400).send({ field: error.field, message })
    if (error instanceof Forbidden || error instanceof Unauthenticated)
      return reply.code(statusCode).send({ message })
    // The body is not JSON, or too long.
    if (statusCode < 500) return reply.code(400).send({ message })
    log.warn({ method, url, error: message }, 'api.fault')
    return reply.code(503).send({ message })
  })
  server.setNotFoundHandler(({ method, url }, reply) =>
    reply.code(404).send({ message: `there is no ${method} ${url.split('?')[0]} here` }),
  )
  for (const each of routes) each(server)
  return server
}

export async function serveApi(
  path: string,
  routes: readonly Routes[],
  log: Log,
): Promise<{ close(): Promise<void> }> {
  const server = createApi(routes, log)
  // A killed operator leaves its socket. The lock of the state directory ensures that no other operator uses it.
  const socket = await listenPrivately(path, born => server.listen({ path: born }))
  const close = async () => {
    await server.close()
    await socket.remove()
  }
  return { close }
}
