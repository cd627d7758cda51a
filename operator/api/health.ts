import { createServer } from 'node:http'
import { InvalidInput } from '../../core/errors.ts'

/** `/healthz` and `/readyz`, apart from all else, so that they answer when nothing else does. */
export interface Health {
  readonly port: number
  close(): Promise<void>
}

export interface HealthOptions {
  /** Default: every address. */
  host?: string
  /** 0: any free one. */
  port: number
  /** Why it should be restarted; undefined: it lives. */
  ill(): string | undefined
  /** Why it cannot be used now. */
  unready(): string | undefined
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
    response.end(`${check ? (trouble ?? 'ok') : 'not found'}\n`)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', error =>
      reject(
        new InvalidInput('--health', `cannot listen on ${options.port}: ${error.message}`, {
          cause: error,
        }),
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
