import type { IncomingMessage } from 'node:http'
import { Agent as Connections, request } from 'node:https'
import { text } from 'node:stream/consumers'
import { connect, type TLSSocket } from 'node:tls'
import * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import type { OperatorLink, OperatorRequest } from '../operator-client.ts'
import type { Cluster, ClusterFlags } from './cluster.ts'
import { findLeader } from './leader.ts'
import { forwardPort } from './port-forward.ts'
import { createTicket } from './ticket.ts'

/**
 * The operator of a cluster, for this user:
 *
 *   EndpointSlice of the leader ─▶ its pod, port and authority ─▶ TLS, through a port-forward or to --server
 *   ShellTicket ─▶ POST /v1/sessions ─▶ token ─▶ requests; a 401 opens one more session, as after a change of the leader
 */
export async function operatorOf(cluster: Cluster, flags: ClusterFlags): Promise<OperatorLink> {
  const { operatorNamespace: namespace, operatorService: service } = flags
  const open = async (): Promise<Session> => {
    const leader = await findLeader(cluster.api, { namespace, service })
    const route = routeTo(cluster, leader, flags)
    return { route, token: await openSession(route, await createTicket(cluster.api)) }
  }
  let session = await open()
  return {
    async send(asked) {
      const first = await send(session.route, asked, `Bearer ${session.token}`).catch(
        async (error: unknown) => {
          // Its pod may be gone, and another operator leads.
          if (!(error instanceof Unavailable) || asked.signal?.aborted) throw error
          return undefined
        },
      )
      if (first && first.statusCode !== 401) return first
      first?.resume()
      session = await open()
      return send(session.route, asked, `Bearer ${session.token}`)
    },
  }
}

interface Session {
  route: Route
  token: string
}

interface Route {
  url: string
  ca: string
  connections: Connections
}

function routeTo(
  { config }: Cluster,
  { pod, port, ca }: Awaited<ReturnType<typeof findLeader>>,
  { server, operatorNamespace: namespace }: ClusterFlags,
): Route {
  if (server !== undefined) return { url: serverUrl(server), ca, connections: new Connections({ ca }) }
  if (pod === undefined)
    throw new InvalidInput('--server', 'the operator does not run in a pod; name its address with --server')
  const connections = new Connections()
  connections.createConnection = (_options, callback) => {
    forwardPort(config, { namespace, pod, port }).then(
      // Every certificate of an operator has this name.
      socket => callback?.(null, connect({ socket, ca, servername: 'localhost' }) as TLSSocket),
      (error: Error) => callback?.(error, undefined as never),
    )
    return undefined
  }
  return { url: 'https://localhost', ca, connections }
}

function serverUrl(server: string): string {
  if (/^https:\/\/[^/]+\/?$/.test(server)) return server.replace(/\/$/, '')
  throw new InvalidInput('--server', `"${server}" must be like https://shellcron.example:9443`)
}

async function openSession(route: Route, ticket: string): Promise<string> {
  const response = await send(route, { path: '/v1/sessions', method: 'POST' }, ticket)
  const body: unknown = JSON.parse(await text(response))
  if (response.statusCode === 200) return z.object({ token: z.string() }).parse(body).token
  const { message } = z.object({ message: z.string() }).parse(body)
  throw new Unavailable(`the operator refused the ShellTicket: ${message}`)
}

function send(
  { url, ca, connections }: Route,
  { path, method = 'GET', body, signal }: OperatorRequest,
  authorization: string,
): Promise<IncomingMessage> {
  const headers = { authorization, ...(body ? { 'content-type': 'application/json' } : {}) }
  const options = { agent: connections, ca, method, headers, ...(signal ? { signal } : {}) }
  return new Promise((resolve, reject) => {
    const sent = request(url + path, options, resolve)
    sent.on('error', (cause: Error) =>
      reject(
        cause instanceof Unavailable
          ? cause
          : new Unavailable(`the operator does not answer: ${messageOf(cause)}`, { cause }),
      ),
    )
    sent.end(body && JSON.stringify(body))
  })
}
