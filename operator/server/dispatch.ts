import type { Log } from '../../platform/log.ts'
import { answerFault, refuse } from './answers.ts'
import type { Exchange, Handler, Handlers } from './exchange.ts'

/** Gives each request to the handler of its method and path; requests without one to `others`, by default with the answer 404. */
export function createDispatch(of: { handlers: Handlers; others?: Handler; log: Log }): Handler {
  const { handlers, others = notFound, log } = of
  return async exchange => {
    const { method, url = '' } = exchange.request
    const route = `${method} ${url.split('?')[0]}`
    const handler = Object.hasOwn(handlers, route) ? handlers[route] : undefined
    try {
      await (handler ?? others)(exchange)
    } catch (error) {
      answerFault(log, exchange, error)
    }
  }
}

function notFound({ request, response }: Exchange): void {
  refuse(response, 404, `there is no ${request.method} ${(request.url ?? '').split('?')[0]} here`)
}
