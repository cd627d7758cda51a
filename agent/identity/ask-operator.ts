import { request } from 'node:https'
import { Unavailable } from '../../platform/errors.ts'
import { socketPath } from '../../platform/unix-socket.ts'

export interface OperatorAddress {
  /** `https://host:port`, or `unix:path` for an operator on this machine. */
  url: string
  /** The authority of the operator's certificate, PEM. It is checked on a Unix socket too. */
  ca: string
  /** The agent's own certificate. */
  client?: { cert: string; key: string }
}

/** What the operator said to an agent that may not enrol or renew, with the remedy. A retry does not help. */
export class RefusedByOperator extends Error {
  override readonly name = 'RefusedByOperator'
}

const UNIX = 'unix:'
const WITHIN_MS = 15_000
const MAX_CHARACTERS = 256 * 1024

/** Posts JSON, and answers the JSON of a 200. Throws RefusedByOperator for a 4xx, and Unavailable for anything else. */
export async function askOperator(
  to: OperatorAddress,
  path: string,
  body: object,
  signal?: AbortSignal,
): Promise<unknown> {
  const answer = await post(to, path, JSON.stringify(body), signal)
  const said = messageIn(answer.text)
  if (answer.status === 200) return JSON.parse(answer.text)
  if (answer.status >= 400 && answer.status < 500) throw new RefusedByOperator(said)
  throw new Unavailable(`the operator at ${to.url} answered ${answer.status}: ${said}`)
}

function post(
  { url, ca, client }: OperatorAddress,
  path: string,
  body: string,
  signal: AbortSignal | undefined,
): Promise<{ status: number; text: string }> {
  const socket = url.startsWith(UNIX) ? socketPath(url.slice(UNIX.length)) : undefined
  const limit = AbortSignal.timeout(WITHIN_MS)
  const options = {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    agent: false as const,
    ca,
    ...client,
    ...(socket ? { socketPath: socket.path } : {}),
    signal: signal ? AbortSignal.any([limit, signal]) : limit,
  }
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const fail = (cause: Error) => {
      const why = limit.aborted ? `no answer in ${WITHIN_MS / 1_000} s` : cause.message
      reject(
        signal?.aborted ? cause : new Unavailable(`cannot reach the operator at ${url}: ${why}`, { cause }),
      )
    }
    const sent = request(new URL(path, socket ? 'https://localhost' : url), options, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
        if (text.length > MAX_CHARACTERS) response.destroy(new Error('the answer is too long'))
      })
      response.on('error', fail)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    sent.on('error', fail)
    sent.end(body)
  }).finally(() => socket?.done())
}

function messageIn(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    return typeof message === 'string' ? message : text.slice(0, 200)
  } catch {
    return text.slice(0, 200)
  }
}
