import type { ServerResponse } from 'node:http'
import { InvalidInput } from '../../core/errors.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Exchange } from './exchange.ts'
import type { LogLimit } from './log-limit.ts'

const RETRY_AFTER_SECONDS = 1

export function answerJson(response: ServerResponse, body: object): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

/** The rest of the request is not read, so the connection is closed after the answer. */
export function refuse(response: ServerResponse, status: number, message: string): void {
  if (response.headersSent) return void response.destroy()
  const retry = status === 503 ? { 'retry-after': String(RETRY_AFTER_SECONDS) } : {}
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close', ...retry })
  response.end(JSON.stringify({ message }))
}

/** Answers a request that failed. Faults are logged, but no client can fill the log. */
export function answerFault(
  { log, limit }: { log: Log; limit: LogLimit },
  { request, response }: Exchange,
  error: unknown,
): void {
  if (request.destroyed && !request.complete) return void response.destroy()
  if (error instanceof InvalidInput) return refuse(response, 400, `${error.field} ${error.message}`)
  const expected = error instanceof Unavailable
  const { remoteAddress: from } = request.socket
  const line = limit(`${from} ${request.url?.split('?')[0]}`)
  if (line)
    log[expected ? 'warn' : 'error'](
      { path: request.url, from, error: messageOf(error), ...line },
      'request.failed',
    )
  refuse(response, expected ? 503 : 500, messageOf(error))
}
