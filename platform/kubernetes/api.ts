import http from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import type { KubeConfig } from '@kubernetes/client-node'
import { deadline } from '../clock.ts'
import { messageOf, Unavailable } from '../errors.ts'

/**
 * HTTP to the API server with a kubeconfig's credentials. The generated client of client-node is not used: it opens a new connection for
 * every request, has no deadline, and cuts a watch that is silent for 30 s, which is shorter than the interval of bookmarks.
 */
export interface KubeApi {
  /** Resolves with a 2xx answer, or a 4xx other than 429. Throws `Unavailable` for anything else. */
  request: (call: Call) => Promise<Answer>
  /**
   * The lines of a GET with an endless answer. Resolves with its head, throws `Refused` if that is not 200. The signal ends the lines, not
   * `within`. An orderly end of the answer ends them too; a broken connection throws.
   */
  lines: (call: Call & { signal: AbortSignal }) => Promise<AsyncIterable<string>>
}

interface Call {
  /** Including the query. */
  path: string
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  body?: unknown
  /** Of the body. For PATCH it selects the kind of patch. */
  contentType?: string
  accept?: string
  signal?: AbortSignal
  /** The deadline of the whole answer, ms. */
  within?: number
}

export interface Answer {
  status: number
  /** Parsed JSON. For an error, its Status object. */
  body: unknown
}

export const MERGE_PATCH = 'application/merge-patch+json'
export const APPLY_PATCH = 'application/apply-patch+yaml'

const DEFAULT_DEADLINE_MS = 10_000

/** The server has rejected the request. Only Forbidden is worth a retry: an administrator may grant the right. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly status: number

  constructor(answer: Answer, action: string) {
    const { message } = (answer.body ?? {}) as { message?: string }
    super(`${action}: ${message ?? `status ${answer.status}`}`)
    this.status = answer.status
  }
}

/** The body of a 2xx answer. Throws `Unavailable` for a missing right, which may be granted later, and `Refused` otherwise. */
export function accepted(answer: Answer, action: string): unknown {
  if (answer.status < 300) return answer.body
  const refused = new Refused(answer, action)
  if (answer.status === 401 || answer.status === 403)
    throw new Unavailable(refused.message, { cause: refused })
  throw refused
}

export function createKubeApi(config: KubeConfig, userAgent = 'shellcron-operator'): KubeApi {
  const connect = connector(config, userAgent)
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
      const limit = deadline(call.within ?? DEFAULT_DEADLINE_MS, call.signal)
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
      const limit = deadline(DEFAULT_DEADLINE_MS)
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
  userAgent: string
}

/** Reads the credentials for each request, as tokens and certificates rotate. The HTTP agent keeps their connections apart. */
function connector(config: KubeConfig, userAgent: string): () => Promise<Connection> {
  // `timeout` only closes idle connections. A busy one has its request's deadline.
  const agent = new https.Agent({ keepAlive: true, timeout: 30_000 })
  return async () => {
    const cluster = config.getCurrentCluster()
    if (!cluster) throw new Unavailable('the kubeconfig has no current cluster; set current-context')
    const options: https.RequestOptions = {}
    await config.applyToHTTPSOptions(options)
    if (!cluster.proxyUrl && !cluster.server.startsWith('http:')) options.agent = agent
    return { base: cluster.server.replace(/\/+$/, ''), options, userAgent }
  }
}

/** The server has closed an idle connection. The request is sent again, even if it has arrived: each of ours may be repeated. */
class ClosedWhileIdle extends Error {
  override readonly name = 'ClosedWhileIdle'
}

async function send(connection: Connection, call: Call): Promise<http.IncomingMessage> {
  try {
    return await sendOnce(connection, call)
  } catch (error) {
    if (error instanceof ClosedWhileIdle) return await sendOnce(connection, call)
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
    'user-agent': connection.userAgent,
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
      else if (request.reusedSocket && error.code === 'ECONNRESET') reject(new ClosedWhileIdle(error.message))
      else reject(error)
    })
    request.end(body)
  })
}

async function wholeAnswer(response: http.IncomingMessage): Promise<Answer> {
  const status = response.statusCode ?? 0
  const body = await text(response)
  if (status === 429 || status >= 500 || status < 200) {
    throw new Unavailable(`the API server answered ${status}: ${body.slice(0, 200)}`)
  }
  return { status, body: parsed(body) }
}

/** A proxy may answer with plain text. */
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
