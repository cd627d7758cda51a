import type { IncomingMessage, ServerResponse } from 'node:http'

/** A request to the operator's TLS port, and its response. */
export interface Exchange {
  request: IncomingMessage
  response: ServerResponse
}

/** Answers a request. A rejection with InvalidInput is answered with 400, with Unavailable with 503, and with anything else with 500. */
export type Handler = (exchange: Exchange) => Promise<void> | void

/** By method and path without the query, such as `POST /v1/ingest`. */
export type Handlers = Readonly<Record<string, Handler>>
