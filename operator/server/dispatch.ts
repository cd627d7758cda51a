import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import { answerFault, refuse } from './answers.ts'
import type { Exchange, Handler, Handlers } from './exchange.ts'
import { createLogLimit } from './log-limit.ts'

/** Gives each request to the handler of its method and path; requests without one to `others`, by default with the answer 404. */
export function createDispatch(of: {
  handlers: Handlers
  others?: Handler
  log: Log
  clock: Clock
}): Handler {
  const { handlers, others = notFound, log } = of
  const limit = createLogLimit(of.clock)
  return async exchange => {
    const { method, url = '' } = exchange.request
    const route = `${method} ${url.split('?')[0]}`
    const handler = Object.hasOwn(handlers, route) ? handlers[route] : undefined
    try {
      await (handler ?? others)(exchange)
    } catch (error) {
      answerFault({ log, limit }, exchange, error)
    }
  }
}

function notFound({ request, response }: Exchange): void {
  refuse(response, 404, `there is no ${request.method} ${(request.url ?? '').split('?')[0]} here`)
}
