import { createServer } from 'node:http'
import { InvalidInput } from '../../core/errors.ts'

/** Serves `/healthz` and `/readyz`, independently of everything else, so that they always answer. */
export interface Health {
  readonly port: number
  close(): Promise<void>
}

export interface HealthOptions {
  /** Default: all addresses. */
  host?: string
  /** 0: any free port. */
  port: number
  /** Why the operator should be restarted; undefined: it is alive. */
  ill(): string | undefined
  /** Why the operator is not ready; undefined: it is. */
  unready(): string | undefined
  /** What a ready operator is, such as a candidate. */
  state(): string
}

export async function serveHealth(options: HealthOptions): Promise<Health> {
  const checks: Record<string, () => string | undefined> = {
    '/healthz': options.ill,
    '/readyz': options.unready,
  }
  const server = createServer((request, response) => {
    const check = checks[(request.url ?? '').split('?')[0] ?? '']
    const trouble = check?.()
    response.writeHead(check ? (trouble ? 503 : 200) : 404, { 'content-type': 'text/plain; charset=utf-8' })
    const good = check === options.unready ? options.state() : 'ok'
    response.end(`${check ? (trouble ?? good) : 'not found'}\n`)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', error =>
      reject(
        new InvalidInput(
          '--health',
          `cannot listen on port ${options.port}: ${error.message}; use another port`,
          {
            cause: error,
          },
        ),
      ),
    )
    server.listen(options.port, options.host, resolve)
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : options.port,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
