import http from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import type { KubeConfig } from '@kubernetes/client-node'
import { deadline } from '../../../platform/clock.ts'
import { messageOf, Unavailable } from '../../../platform/errors.ts'

/**
 * HTTP to the API server with a kubeconfig's credentials. Not through the generated client of client-node: it makes a new connection
 * pool, and so a TLS handshake, for every request, has no deadline, and its watch cuts what is silent for 30 s, which is shorter than
 * the interval of bookmarks.
 */
export interface KubeApi {
  /** The answer, if it is one about the request (2xx, or 4xx but for 429). Throws `Unavailable` for all else. */
  request: (call: Call) => Promise<Answer>
  /**
   * The lines of a GET whose answer does not end by itself, once its head is there. `within` does not bound them, the signal does.
   * Throws `Refused` for what is not 200. An orderly end ends the lines, a cut throws.
   */
  lines: (call: Call & { signal: AbortSignal }) => Promise<AsyncIterable<string>>
}

interface Call {
  /** With its query. */
  path: string
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  body?: unknown
  /** Of the body; for PATCH it says which kind of patch. */
  contentType?: string
  accept?: string
  signal?: AbortSignal
  /** How long the whole answer may take, in ms. */
  within?: number
}

export interface Answer {
  status: number
  /** Parsed JSON; of an error its Status object. */
  body: unknown
}

export const MERGE_PATCH = 'application/merge-patch+json'
export const APPLY_PATCH = 'application/apply-patch+yaml'

const DEFAULT_DEADLINE = 10_000

/** The server understood and says no: not repeated without a change, but for Forbidden, which an administrator may mend. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly status: number

  constructor(answer: Answer, what: string) {
    const { message } = (answer.body ?? {}) as { message?: string }
    super(`${what}: ${message ?? `status ${answer.status}`}`)
    this.status = answer.status
  }
}

/** The body of a good answer; else `Refused`, or `Unavailable` if we lack a right that somebody may yet give. */
export function accepted(answer: Answer, what: string): unknown {
  if (answer.status < 300) return answer.body
  const refused = new Refused(answer, what)
  if (answer.status === 401 || answer.status === 403)
    throw new Unavailable(refused.message, { cause: refused })
  throw refused
}

export function createKubeApi(config: KubeConfig): KubeApi {
  const connect = connector(config)
  const open = async (call: Call): Promise<http.IncomingMessage> => {
    const what = `${call.method ?? 'GET'} ${call.path.split('?')[0]}`
    try {
      return await send(await connect(), call)
    } catch (error) {
      if (call.signal?.aborted) throw call.signal.reason
      throw new Unavailable(`${what}: ${messageOf(error)}`, { cause: error })
    }
  }
  return {
    async request(call) {
      const limit = deadline(call.within ?? DEFAULT_DEADLINE, call.signal)
      try {
        return await wholeAnswer(await open({ ...call, signal: limit.signal }))
      } catch (error) {
        if (call.signal?.aborted || error instanceof Unavailable) throw error
        throw new Unavailable(`${call.method ?? 'GET'} ${call.path}: ${messageOf(error)}`, { cause: error })
      } finally {
        limit.done()
      }
    },
    async lines(call) {
      const cut = new AbortController()
      const limit = deadline(DEFAULT_DEADLINE)
      limit.signal.addEventListener('abort', () => cut.abort(limit.signal.reason))
      try {
        const response = await open({ ...call, signal: AbortSignal.any([call.signal, cut.signal]) })
        if (response.statusCode === 200) return splitLines(response)
        throw new Refused(await wholeAnswer(response), `GET ${call.path.split('?')[0]}`)
      } finally {
        limit.done()
      }
    },
  }
}

interface Connection {
  base: string
  options: https.RequestOptions
}

/** Credentials anew for each request: tokens and certificates are replaced while we run. The agent never mixes their connections. */
function connector(config: KubeConfig): () => Promise<Connection> {
  // `timeout` closes idle connections only; a busy one has the deadline of its request.
  const agent = new https.Agent({ keepAlive: true, timeout: 30_000 })
  return async () => {
    const cluster = config.getCurrentCluster()
    if (!cluster) throw new Unavailable('the kubeconfig names no current cluster')
    const options: https.RequestOptions = {}
    await config.applyToHTTPSOptions(options)
    if (!cluster.proxyUrl && !cluster.server.startsWith('http:')) options.agent = agent
    return { base: cluster.server.replace(/\/+$/, ''), options }
  }
}

/** An idle connection that the server closed meanwhile. Should the request have arrived all the same: each of ours may be repeated. */
class Stale extends Error {
  override readonly name = 'Stale'
}

async function send(connection: Connection, call: Call): Promise<http.IncomingMessage> {
  try {
    return await sendOnce(connection, call)
  } catch (error) {
    if (error instanceof Stale) return await sendOnce(connection, call)
    throw error
  }
}

/** Resolves with the head of the answer. */
function sendOnce(connection: Connection, call: Call): Promise<http.IncomingMessage> {
  const body = call.body === undefined ? undefined : JSON.stringify(call.body)
  const url = new URL(connection.base + call.path)
  const headers: http.OutgoingHttpHeaders = {
    ...(connection.options.headers as http.OutgoingHttpHeaders | undefined),
    accept: call.accept ?? 'application/json',
    'user-agent': 'shellcron-operator',
  }
  if (body !== undefined) {
    headers['content-type'] = call.contentType ?? 'application/json'
    headers['content-length'] = Buffer.byteLength(body)
  }
  const options = { ...connection.options, method: call.method ?? 'GET', headers, signal: call.signal }
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'http:' ? http : https).request(url, options as https.RequestOptions)
    request.on('socket', socket => socket.setKeepAlive(true, 30_000))
    request.on('response', resolve)
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (call.signal?.aborted) reject(call.signal.reason)
      else if (request.reusedSocket && error.code === 'ECONNRESET') reject(new Stale(error.message))
      else reject(error)
    })
    request.end(body)
  })
}

async function wholeAnswer(response: http.IncomingMessage): Promise<Answer> {
  const status = response.statusCode ?? 0
  const body = await text(response)
  if (status === 429 || status >= 500 || status < 200) {
    throw new Unavailable(`the API server answers ${status}: ${body.slice(0, 200)}`)
  }
  return { status, body: parsed(body) }
}

/** An error in between may be plain text of a proxy. */
function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return { message: body.slice(0, 200) }
  }
}

async function* splitLines(response: http.IncomingMessage): AsyncGenerator<string> {
  response.setEncoding('utf8')
  let rest = ''
  for await (const chunk of response as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}
