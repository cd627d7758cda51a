import { type IncomingMessage, request } from 'node:http'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import * as z from 'zod'
import { InvalidInput } from '../core/errors.ts'
import { type Result, resultSchema } from '../core/records/state.ts'
import { Unavailable } from '../platform/errors.ts'
import { socketPath } from '../platform/unix-socket.ts'
import { kept } from './options/state.ts'

/** The requests of this program to the operator, over its socket. It talks to nothing else. */

const condition = z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() })

const seen = z.object({
  kind: z.string(),
  metadata: z.object({ name: z.string(), namespace: z.string().default(''), uid: z.string().optional() }),
  spec: z.object({ schedule: z.string().optional(), suspend: z.boolean().optional() }).default({}),
  status: z
    .object({
      schedule: z.string().optional(),
      conditions: z.array(condition).default([]),
      activeCount: z.number().default(0),
      active: z.array(z.object({ id: z.string() })).default([]),
      lastResult: z.string().optional(),
      lastScheduleTime: z.string().optional(),
      nextScheduleTime: z.string().optional(),
      phase: z.string().optional(),
    })
    .prefault({}),
})
export type ObjectWithStatus = z.infer<typeof seen>

const problem = z.object({
  file: z.string(),
  line: z.number().optional(),
  field: z.string().optional(),
  message: z.string(),
})

const overview = z.object({ objects: z.array(seen), more: z.number().optional(), problems: z.array(problem) })
export type Overview = z.infer<typeof overview>

/** `rows`: how many jobs and runs are wanted. The answer has all jobs that cannot run besides. */
export async function readOverview(socket: string, rows: number, signal: AbortSignal): Promise<Overview> {
  return overview.parse(await requestJson(socket, { path: `/v1/objects?rows=${rows}`, signal }))
}

/** Whether the operator has compared what etcd held at its start with the objects. */
export async function hasCompared(socket: string, signal: AbortSignal): Promise<boolean> {
  return z.object({ done: z.boolean() }).parse(await requestJson(socket, { path: '/v1/comparison', signal }))
    .done
}

/** Each result that the operator stores from now on, until the signal aborts or the operator ends. */
export async function* outcomes(socket: string, signal: AbortSignal): AsyncIterable<Result> {
  const response = await openRequest(socket, { path: '/v1/outcomes', signal })
  for await (const line of createInterface({ input: response })) yield resultSchema.parse(JSON.parse(line))
}

const page = z.object({ rows: z.array(resultSchema), cursor: z.string().optional() })

/** `query`: the parameters of the operator's GET /v1/history. A `cursor` in the answer: there may be more. */
export async function readHistory(
  socket: string,
  query: Readonly<Record<string, string>>,
): Promise<z.infer<typeof page>> {
  return page.parse(
    await requestJson(socket, { path: `/v1/history?${new URLSearchParams(query).toString()}` }),
  )
}

const killed = z.object({ attempts: z.number() })

/** Kills a run. Answers how many of its attempts were active. */
export async function killRun(socket: string, run: string): Promise<number> {
  const path = `/v1/runs/${encodeURIComponent(run)}/kill`
  return killed.parse(await requestJson(socket, { path, method: 'POST' })).attempts
}

/** Kills every active run of a ShellCronJob or ShellRun. Throws InvalidInput if the object does not exist. */
export async function killObject(socket: string, namespace: string, name: string): Promise<number> {
  const path = `/v1/objects/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/kill`
  return killed.parse(await requestJson(socket, { path, method: 'POST' })).attempts
}

const made = z.object({ namespace: z.string(), name: z.string(), run: z.string() })

/** Creates a ShellRun; `run` in the answer is the id of its run. Throws InvalidInput with the field if it is refused. */
export async function makeRun(socket: string, object: object): Promise<z.infer<typeof made>> {
  return made.parse(await requestJson(socket, { path: '/v1/runs', method: 'POST', body: object }))
}

const shellRun = z.object({
  metadata: z.object({ creationTimestamp: z.string() }),
  status: z
    .object({
      conditions: z.array(condition).default([]),
      runs: z.array(z.object({ reason: z.string().optional() })).default([]),
    })
    .prefault({}),
})

/** undefined: the ShellRun does not exist. */
export async function readRun(
  socket: string,
  { namespace, name }: { namespace: string; name: string },
): Promise<z.infer<typeof shellRun> | undefined> {
  const path = `/v1/runs/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`
  const { object } = z.object({ object: shellRun.nullable() }).parse(await requestJson(socket, { path }))
  return object ?? undefined
}

const madeToken = z.object({ token: z.string(), operator: z.string().optional(), expiresAt: z.number() })

/** Creates the ShellAgent of a server, or sets its pool and labels. */
export async function putAgent(
  socket: string,
  name: string,
  body: { pool: string; labels: Readonly<Record<string, string>> },
): Promise<void> {
  await requestJson(socket, { path: `/v1/agents/${encodeURIComponent(name)}`, method: 'PUT', body })
}

export async function removeAgent(socket: string, name: string): Promise<void> {
  await requestJson(socket, { path: `/v1/agents/${encodeURIComponent(name)}`, method: 'DELETE' })
}

/** Makes a token with which the server of this name joins once. */
export async function makeJoinToken(
  socket: string,
  name: string,
  ttlSeconds: number,
): Promise<z.infer<typeof madeToken>> {
  const path = `/v1/agents/${encodeURIComponent(name)}/tokens`
  return madeToken.parse(await requestJson(socket, { path, method: 'POST', body: { ttlSeconds } }))
}

interface OperatorRequest {
  path: string
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Sent as JSON. */
  body?: object
  signal?: AbortSignal
}

const refusal = z.object({ field: z.string().optional(), message: z.string() })

export async function requestJson(socket: string, asked: OperatorRequest): Promise<unknown> {
  return JSON.parse(await textOf(await openRequest(socket, asked)))
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = ''
  response.setEncoding('utf8')
  for await (const part of response) text += part
  return text
}

/** Rejects with InvalidInput if the operator refuses the request, with Unavailable if it does not answer. */
export async function openRequest(socket: string, asked: OperatorRequest): Promise<IncomingMessage> {
  const response = await send(socket, asked)
  if (response.statusCode === 200) return response
  const said = refusal.safeParse(JSON.parse(await textOf(response))).data
  if (response.statusCode === 400 && said) throw new InvalidInput(said.field ?? asked.path, said.message)
  throw new Unavailable(`the operator answered ${response.statusCode}${said ? `: ${said.message}` : ''}`)
}

async function send(
  socket: string,
  { path, method = 'GET', body, signal }: OperatorRequest,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const place = socketPath(socket)
    const aborts = signal ? { signal } : {}
    const headers = body ? { 'content-type': 'application/json' } : {}
    const sent = request({ socketPath: place.path, path, method, headers, ...aborts }, response => {
      place.done()
      resolve(response)
    })
    sent.on('error', cause =>
      reject(
        new Unavailable(
          `the operator does not answer on ${socket}: ${cause.message}; is it running?${kept(dirname(socket))}`,
          { cause },
        ),
      ),
    )
    sent.end(body && JSON.stringify(body))
  })
}
