import { type IncomingMessage, request } from 'node:http'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import * as z from 'zod'
import { InvalidInput } from '../core/errors.ts'
import { type Result, resultSchema } from '../core/records/state.ts'
import { Unavailable } from '../platform/errors.ts'
import { socketPath } from '../platform/unix-socket.ts'
import { kept } from './options/state.ts'

/** The requests of this program to the operator. */

/** How to reach it: the path of its socket, or a connection of another kind. */
export type Operator = string | OperatorLink

export interface OperatorLink {
  /** Resolves with the head of the answer. Rejects with Unavailable, with the remedy, if the operator cannot be reached. */
  send(asked: OperatorRequest): Promise<IncomingMessage>
}

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
export async function readOverview(operator: Operator, rows: number, signal: AbortSignal): Promise<Overview> {
  return overview.parse(await requestJson(operator, { path: `/v1/objects?rows=${rows}`, signal }))
}

/** Whether the operator has compared what etcd held at its start with the objects. */
export async function hasCompared(operator: Operator, signal: AbortSignal): Promise<boolean> {
  return z
    .object({ done: z.boolean() })
    .parse(await requestJson(operator, { path: '/v1/comparison', signal })).done
}

/** Each result that the operator stores from now on, until the signal aborts or the operator ends. */
export async function* outcomes(operator: Operator, signal: AbortSignal): AsyncIterable<Result> {
  const response = await openRequest(operator, { path: '/v1/outcomes', signal })
  for await (const line of createInterface({ input: response })) yield resultSchema.parse(JSON.parse(line))
}

const page = z.object({ rows: z.array(resultSchema), cursor: z.string().optional() })

/** `query`: the parameters of the operator's GET /v1/history. A `cursor` in the answer: there may be more. */
export async function readHistory(
  operator: Operator,
  query: Readonly<Record<string, string>>,
): Promise<z.infer<typeof page>> {
  return page.parse(
    await requestJson(operator, { path: `/v1/history?${new URLSearchParams(query).toString()}` }),
  )
}

const killed = z.object({ attempts: z.number() })

/** Kills a run. Answers how many of its attempts were active. */
export async function killRun(operator: Operator, run: string): Promise<number> {
  const path = `/v1/runs/${encodeURIComponent(run)}/kill`
  return killed.parse(await requestJson(operator, { path, method: 'POST' })).attempts
}

/** Kills every active run of a ShellCronJob or ShellRun. Throws InvalidInput if the object does not exist. */
export async function killObject(operator: Operator, namespace: string, name: string): Promise<number> {
  const path = `/v1/objects/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/kill`
  return killed.parse(await requestJson(operator, { path, method: 'POST' })).attempts
}

const made = z.object({ namespace: z.string(), name: z.string(), run: z.string() })

/** Creates a ShellRun; `run` in the answer is the id of its run. Throws InvalidInput with the field if it is refused. */
export async function makeRun(operator: Operator, object: object): Promise<z.infer<typeof made>> {
  return made.parse(await requestJson(operator, { path: '/v1/runs', method: 'POST', body: object }))
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
  operator: Operator,
  { namespace, name }: { namespace: string; name: string },
): Promise<z.infer<typeof shellRun> | undefined> {
  const path = `/v1/runs/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`
  const { object } = z.object({ object: shellRun.nullable() }).parse(await requestJson(operator, { path }))
  return object ?? undefined
}

const madeToken = z.object({ token: z.string(), operator: z.string().optional(), expiresAt: z.number() })

/** Creates the ShellAgent of a server, or sets the given fields. */
export async function putAgent(
  socket: string,
  name: string,
  body: { pool?: string; labels?: Readonly<Record<string, string>> },
): Promise<void> {
  await requestJson(socket, { path: `/v1/agents/${encodeURIComponent(name)}`, method: 'PUT', body })
}

export async function removeAgent(socket: string, name: string): Promise<void> {
  await requestJson(socket, { path: `/v1/agents/${encodeURIComponent(name)}`, method: 'DELETE' })
}

/** Makes a token with which the server of this name joins once. */
export async function makeJoinToken(
  operator: Operator,
  name: string,
  ttlSeconds: number,
): Promise<z.infer<typeof madeToken>> {
  const path = `/v1/agents/${encodeURIComponent(name)}/tokens`
  return madeToken.parse(await requestJson(operator, { path, method: 'POST', body: { ttlSeconds } }))
}

export interface OperatorRequest {
  path: string
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Sent as JSON. */
  body?: object
  signal?: AbortSignal
}

const refusal = z.object({ field: z.string().optional(), message: z.string() })

export async function requestJson(operator: Operator, asked: OperatorRequest): Promise<unknown> {
  return JSON.parse(await textOf(await openRequest(operator, asked)))
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = ''
  response.setEncoding('utf8')
  for await (const part of response) text += part
  return text
}

/** Rejects with InvalidInput if the operator refuses the request, with Unavailable if it does not answer. */
export async function openRequest(operator: Operator, asked: OperatorRequest): Promise<IncomingMessage> {
  const response = await (typeof operator === 'string' ? send(operator, asked) : operator.send(asked))
  if (response.statusCode === 200) return response
  const said = refusal.safeParse(JSON.parse(await textOf(response))).data
  if (response.statusCode === 400 && said) throw new InvalidInput(said.field ?? asked.path, said.message)
  if (response.statusCode === 403 && said) throw new InvalidInput('forbidden', said.message)
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
