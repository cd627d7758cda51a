import { messageOf } from '../../platform/errors.ts'
import type { KubeApi } from '../../platform/kubernetes/api.ts'
import type { LogStore } from '../../store/log/port.ts'
import { historyRoutes } from '../api/history.ts'
import { outputRoutes } from '../api/output.ts'
import type { RightsOf } from '../api/rights.ts'
import { createApi, type Routes } from '../api/server.ts'
import type { Context } from '../context.ts'
import type { OutputNotifier } from '../ingest/output-notifier.ts'
import type { LeaderTask } from '../operator.ts'
import { outputOf } from '../output/output-of.ts'
import type { Handler } from '../server/exchange.ts'
import { tooSlow } from '../server/progress.ts'
import { every } from '../until-aborted.ts'
import { sessionRoutes, userOf } from './authenticate.ts'
import { createReview, type Review, rightsOfUser, type Subject } from './rights.ts'
import { createSessions } from './sessions.ts'
import { createTickets, deleteOldTickets } from './tickets.ts'

/** How routes of users learn who asks and what they may do. */
export interface Users {
  /** Throws Unauthenticated. */
  userOf(request: Parameters<typeof userOf>[1]): Subject
  review: Review
}

export interface UserOptions {
  api: KubeApi
  logStore: LogStore
  notifier: OutputNotifier
  /** More routes for users. */
  routes?: readonly ((users: Users, context: Context) => Routes)[]
}

/** The routes of users, for a term of leadership. All but /v1/sessions need a session. */
export function usersOf(options: UserOptions): (context: Context) => Promise<Handler> {
  return async context => {
    const { clock, log } = context
    const { api, logStore } = options
    const sessions = createSessions(clock)
    const review = createReview({ api, clock })
    const users: Users = { review, userOf: request => userOf(sessions, request) }
    const rightsOf: RightsOf = request => rightsOfUser(review, users.userOf(request))
    const server = createApi(
      [
        sessionRoutes({ sessions, tickets: createTickets({ api, clock }) }),
        historyRoutes(logStore, rightsOf),
        outputRoutes(outputOf(context, options), rightsOf),
        ...(options.routes ?? []).map(make => make(users, context)),
      ],
      log,
    )
    await server.ready()
    return ({ request, response }) => {
      const over = new AbortController()
      response.on('close', () => over.abort())
      tooSlow(request, clock, over.signal).catch(() => {
        if (!over.signal.aborted) request.destroy()
      })
      server.routing(request, response)
    }
  }
}

const LOOK_MS = 300_000

/** Deletes the tickets that nobody used, while the operator leads. */
export function ticketTimer(api: KubeApi): LeaderTask {
  return ({ clock, log }, signal) =>
    every({ clock, ms: LOOK_MS }, signal, () =>
      deleteOldTickets({ api, clock }).catch((error: unknown) =>
        log.warn({ error: messageOf(error) }, 'tickets.notDeleted'),
      ),
    )
}
