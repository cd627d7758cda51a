import { type IncomingMessage, request } from 'node:http'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { type Result, resultSchema } from '../core/records/state.ts'
import { Unavailable } from '../runtime/errors.ts'
import { socketPath } from '../runtime/unix-socket.ts'

/** Asks the operator over its socket; nothing else is asked by this program. */

const condition = z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() })

const seen = z.object({
  kind: z.string(),
  metadata: z.object({ name: z.string(), namespace: z.string().default('') }),
  spec: z.object({ schedule: z.string().optional(), suspend: z.boolean().optional() }).default({}),
  status: z
    .object({
      schedule: z.string().optional(),
      conditions: z.array(condition).default([]),
      activeCount: z.number().default(0),
      lastResult: z.string().optional(),
      lastScheduleTime: z.string().optional(),
      nextScheduleTime: z.string().optional(),
      phase: z.string().optional(),
    })
    .prefault({}),
})
export type SeenObject = z.infer<typeof seen>

const problem = z.object({
  file: z.string(),
  line: z.number().optional(),
  field: z.string().optional(),
  message: z.string(),
})

const overview = z.object({ objects: z.array(seen), problems: z.array(problem) })
export type Overview = z.infer<typeof overview>

export async function readOverview(socket: string, signal: AbortSignal): Promise<Overview> {
  const response = await ask(socket, '/v1/objects', signal)
  let text = ''
  response.setEncoding('utf8')
  for await (const part of response) text += part
  return overview.parse(JSON.parse(text))
}

/** Each result that is stored from now on, until the signal aborts or the operator goes. */
export async function* outcomes(socket: string, signal: AbortSignal): AsyncIterable<Result> {
  const response = await ask(socket, '/v1/outcomes', signal)
  for await (const line of createInterface({ input: response })) yield resultSchema.parse(JSON.parse(line))
}

async function ask(socket: string, path: string, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const place = socketPath(socket)
    const sent = request({ socketPath: place.path, path, signal }, response => {
      place.done()
      if (response.statusCode === 200) resolve(response)
      else reject(new Unavailable(`the operator answered ${response.statusCode} to ${path}`))
    })
    sent.on('error', cause =>
      reject(new Unavailable(`the operator does not answer: ${cause.message}`, { cause })),
    )
    sent.end()
  })
}
