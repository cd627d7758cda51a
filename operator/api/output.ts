import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import type { CellKind } from '../../core/keys.ts'
import { messageOf } from '../../platform/errors.ts'
import type { AttemptRef } from '../../store/log/port.ts'
import type { AttemptSeen } from '../output/attempts.ts'
import { Forbidden, type Rights, type RightsOf } from './rights.ts'
import type { Routes } from './server.ts'

const name = z.string().min(1)
const ofObject = z.strictObject({ namespace: name, name, kind: z.enum(['job', 'run']).default('job') })
const ofOutput = z.strictObject({
  uid: name,
  attempt: z.coerce.number().int().min(1),
  from: z.coerce.number().int().min(0).default(0),
  follow: z.enum(['true', 'false']).default('false'),
})

/**
 *   GET  /v1/outputs?namespace=&name=&kind=job|run      {"run"?: the id of the newest run}
 *   GET  /v1/outputs/ID                                 {"attempts": [AttemptSeen], "waits"}; ID of a run, or of a fire with all its
 *                                                       runs; `waits`: a run of it waits for a slot, and will start
 *   GET  /v1/outputs/ID/chunks?uid=&attempt=&from=&follow=true|false
 *        the output from a position on, as chunks (launcher/protocol.md, Spools); the last chunk says whether the output has ended
 */
export interface OutputSource {
  latest(of: { namespace: string; name: string; kind: CellKind }): Promise<string | undefined>
  attempts(run: string): Promise<AttemptSeen[]>
  jobOf(run: string): Promise<{ namespace: string; job: string | undefined }>
  waits(run: string): boolean
  stream(
    of: { attempt: AttemptRef; from: number; follow: boolean },
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array>
}

type OfRun = { Params: { id: string } }

export function outputRoutes(of: OutputSource, rightsOf: RightsOf): Routes {
  return server => {
    server.get('/v1/outputs', async request => {
      const rights = rightsOf(request)
      const object = parsed(ofObject, request.query)
      // A right on a job counts before its first run, too.
      if (object.kind === 'job') await require(rights, { namespace: object.namespace, job: object.name })
      const run = await of.latest(object)
      if (object.kind === 'run')
        await require(rights, run === undefined ? { namespace: object.namespace } : await of.jobOf(run))
      return run === undefined ? {} : { run }
    })
    server.get<OfRun>('/v1/outputs/:id', async request => {
      const { id } = request.params
      await requireRun(of, rightsOf(request), id)
      return { attempts: await of.attempts(id), waits: of.waits(id) }
    })
    server.get<OfRun>('/v1/outputs/:id/chunks', async (request, reply) => {
      const { uid, attempt, from, follow } = parsed(ofOutput, request.query)
      await requireRun(of, rightsOf(request), request.params.id)
      const ref = { uid, run: request.params.id, attempt }
      reply.hijack()
      const gone = new AbortController()
      reply.raw.on('close', () => gone.abort(new Error('the client has disconnected')))
      reply.raw.writeHead(200, { 'content-type': 'application/octet-stream' })
      reply.raw.flushHeaders()
      const chunks = of.stream({ attempt: ref, from, follow: follow === 'true' }, gone.signal)
      await send(chunks, reply.raw, gone.signal).catch(error => {
        // A client that gets no last chunk asks again.
        if (!gone.signal.aborted) request.log.warn({ error: messageOf(error) }, 'output.notSent')
        reply.raw.destroy()
      })
    })
  }
}

async function requireRun(of: OutputSource, rights: Rights, run: string): Promise<void> {
  const [namespace = ''] = run.split('.')
  if (!(await rights.mayReadLogs({ namespace }))) await require(rights, await of.jobOf(run))
}

async function require(rights: Rights, of: { namespace: string; job?: string | undefined }): Promise<void> {
  if (!(await rights.mayReadLogs(of))) throw new Forbidden(rights.refusal(of))
}

/** Sends no faster than the client reads. */
async function send(
  chunks: AsyncIterable<Uint8Array>,
  to: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  for await (const part of chunks) if (!to.write(part)) await once(to, 'drain', { signal })
  to.end()
}

function parsed<T>(schema: z.ZodType<T>, query: unknown): T {
  const { data, error } = schema.safeParse(query)
  if (!error) return data
  const [issue] = error.issues
  throw new InvalidInput(issue?.path.join('.') ?? 'query', issue?.message ?? 'is not valid')
}
