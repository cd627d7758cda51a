import type { AgentIdentity } from '../../core/records/agent-user.ts'
import type { Context } from '../context.ts'
import type { Authority } from '../identity/authority.ts'
import type { LeaderTask } from '../operator.ts'
import type { OperatorConfig } from '../startup/config.ts'
import { every, untilAborted } from '../until-aborted.ts'
import { createDispatch } from './dispatch.ts'
import type { Handler, Handlers } from './exchange.ts'
import { createPeerAgent, endedMessage, type PeerAgent } from './peer-agent.ts'
import { type ServerTls, serveTls } from './tls-server.ts'

export interface ServerOptions {
  listen: NonNullable<OperatorConfig['listen']>
  authority: Authority
  /** Each makes the handlers of some routes for a term of leadership. */
  handlers: readonly ((context: Context, peerAgent: PeerAgent) => Handlers)[]
  /** All other requests, which are those of users. Without it they are answered with 404. */
  users?: (context: Context) => Promise<Handler>
}

/** How long the server's certificate is valid, h. It gets a new one at each start, and when two thirds have passed. */
const CERTIFICATE_HOURS = 24 * 30
const RENEW_AFTER_MS = CERTIFICATE_HOURS * 3_600_000 * (2 / 3)
const LOOK_MS = 600_000

/** Serves agents and users over TLS while the operator leads. */
export function startServer(of: ServerOptions): LeaderTask {
  return async (context, signal) => {
    const { log, clock } = context
    const peerAgent = createPeerAgent({
      ca: of.authority.caCert,
      now: clock.now,
      whyEnded: whyEnded(context),
    })
    const handlers: Handlers = Object.assign({}, ...of.handlers.map(make => make(context, peerAgent)))
    const others = await of.users?.(context)
    const handle = createDispatch({ handlers, ...(others ? { others } : {}), log, clock })
    let certifiedAt = clock.now()
    const tls = await certificateOf(of.authority, of.listen.names)
    const server = await serveTls({ listen: of.listen.on, tls, handle, log, clock })
    log.info({ port: server.port }, 'server.ready')
    const renewing = every({ clock, ms: LOOK_MS }, signal, async () => {
      if (clock.now() - certifiedAt < RENEW_AFTER_MS) return
      server.certify(await certificateOf(of.authority, of.listen.names))
      certifiedAt = clock.now()
      log.info({}, 'server.certified')
    })
    await untilAborted(signal)
    await server.close()
    await renewing
  }
}

/** Certificates outlive the identities that they name: see identity/reconcile-identities.ts. */
function whyEnded({ mirrors }: Pick<Context, 'mirrors'>) {
  return (agent: AgentIdentity) => (mirrors.isValid(agent) ? undefined : endedMessage(agent))
}

/** The authority's certificate follows the server's own, so that a machine that joins can check it against the hash in its token. */
export async function certificateOf(authority: Authority, names: string[]): Promise<ServerTls> {
  const { cert, key } = await authority.server(names, CERTIFICATE_HOURS)
  return { ca: authority.caCert, cert: `${cert.trimEnd()}\n${authority.caCert}`, key }
}
