import type { FastifyRequest } from 'fastify'
import { InvalidInput } from '../../core/errors.ts'
import { createSemaphore } from '../../platform/semaphore.ts'
import { Unauthenticated } from '../api/rights.ts'
import type { Routes } from '../api/server.ts'
import type { Subject } from './rights.ts'
import type { Sessions } from './sessions.ts'
import type { Tickets } from './tickets.ts'

/** Tickets that are looked up at a time: anybody can ask for that, and each costs the API server two requests. */
const LOOK_UPS = 16

/**
 *   POST /v1/sessions    with `Authorization: ShellTicket NAME:NONCE`: {"token", "expiresInSeconds", "user"}
 *
 * All other routes take `Authorization: Bearer TOKEN`. 401 and {"message"}: get another ticket.
 */
export function sessionRoutes({ tickets, sessions }: { tickets: Tickets; sessions: Sessions }): Routes {
  const slots = createSemaphore(LOOK_UPS)
  return server => {
    server.post('/v1/sessions', async request => {
      const [, name = '', nonce = ''] = /^ShellTicket ([^:\s]+):(\S+)$/.exec(credentials(request)) ?? []
      if (!name)
        throw new InvalidInput('Authorization', 'must be: ShellTicket NAME:NONCE; see docs/security.md')
      const gone = new AbortController()
      request.raw.on('close', () => gone.abort(new Error('the client has disconnected')))
      const subject = await slots.run(() => tickets.redeem(name, nonce), gone.signal)
      return { ...sessions.open(subject), user: subject.user }
    })
  }
}

/** The user of a request. Throws Unauthenticated. */
export function userOf(sessions: Sessions, request: FastifyRequest): Subject {
  const [, token] = /^Bearer (\S+)$/.exec(credentials(request)) ?? []
  if (token === undefined)
    throw new Unauthenticated(
      'this needs a session: create a ShellTicket and send it to POST /v1/sessions, as `kubectl shellcron` does',
    )
  const subject = sessions.find(token)
  if (subject) return subject
  throw new Unauthenticated(
    'the session has ended, or another operator leads now; open a new one with a ShellTicket',
  )
}

function credentials({ headers }: FastifyRequest): string {
  return headers.authorization ?? ''
}
