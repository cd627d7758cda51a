import type { Result } from '../../core/records/state.ts'
import type { Problem } from '../resources/port.ts'
import type { Routes } from './server.ts'

/**
 *   GET  /v1/objects         {"objects": [objects with their status], "problems": [of files]}
 *   GET  /v1/comparison      {"done": whether everything that etcd held at the operator's start has been compared with the objects}
 *   GET  /v1/outcomes        the latest results, then each new one when it is stored, as JSON lines, until the client disconnects;
 *                            a client that connects again gets some results twice
 */
export function objectRoutes(of: {
  objects(): readonly object[]
  problems(): readonly Problem[]
  compared(): boolean
  /** Calls the listener with the latest results at once. Returns a function that removes it. */
  onOutcome(listener: (result: Result) => void): () => void
}): Routes {
  return server => {
    server.get('/v1/objects', () => ({ objects: of.objects(), problems: of.problems() }))
    server.get('/v1/comparison', () => ({ done: of.compared() }))
    server.get('/v1/outcomes', async (request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200, { 'content-type': 'application/x-ndjson' })
      reply.raw.flushHeaders()
      const stop = of.onOutcome(result => reply.raw.write(`${JSON.stringify(result)}\n`))
      request.raw.on('close', stop)
    })
  }
}
