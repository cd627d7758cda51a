import * as z from 'zod'
import { type OutputChunk, placedChunks, wholeChunks } from '../../core/output/chunks.ts'
import { OUTCOMES } from '../../core/records/state.ts'
import { systemClock } from '../../platform/clock.ts'
import { Unavailable } from '../../platform/errors.ts'
import { openRequest, requestJson } from '../operator-client.ts'

/** The requests of `shellcron logs` to the operator. */

const attempt = z.object({
  uid: z.string(),
  run: z.string(),
  attempt: z.number(),
  agent: z.string().optional(),
  going: z.boolean(),
  pending: z.boolean().optional(),
  outcome: z.enum(OUTCOMES).optional(),
  started: z.boolean().optional(),
  output: z
    .object({
      bytes: z.number(),
      cut: z.number(),
      lost: z.number(),
      ended: z.boolean(),
      expired: z.boolean().optional(),
    })
    .optional(),
})
export type Attempt = z.infer<typeof attempt>

/**
 * Every attempt of a run, or of all runs of a fire; none if there is no such run. `waits`: another run of the fire starts when one of
 * these ends.
 */
export async function readAttempts(
  socket: string,
  run: string,
): Promise<{ attempts: Attempt[]; waits: boolean }> {
  const path = `/v1/outputs/${encodeURIComponent(run)}`
  const parts = z.object({ attempts: z.array(attempt), waits: z.boolean() })
  return parts.parse(await requestJson(socket, { path }))
}

/** The id of the newest fire of a ShellCronJob (`job`), or of a ShellRun's run. */
export async function readLatest(
  socket: string,
  of: { kind: 'job' | 'run'; namespace: string; name: string },
): Promise<string | undefined> {
  const path = `/v1/outputs?${new URLSearchParams(of).toString()}`
  return z.object({ run: z.string().optional() }).parse(await requestJson(socket, { path })).run
}

/** How long an operator may be away, as in a restart, ms. */
const AWAY_MS = 60_000
const PAUSE_MS = 250

/**
 * The output of an attempt from a position on; the last chunk is a `stop`. With `follow` it continues after a restart of the operator.
 * Rejects with Unavailable if the operator does not answer.
 */
export async function* readOutput(
  socket: string,
  of: Pick<Attempt, 'uid' | 'run' | 'attempt'> & { from?: number; follow: boolean },
): AsyncGenerator<{ chunk: OutputChunk; next: number }> {
  let from = of.from ?? 0
  for (let seenAt = systemClock.monotonic(); ; ) {
    try {
      for await (const each of transfer(socket, { ...of, from })) {
        seenAt = systemClock.monotonic()
        from = each.next
        yield each
        if (each.chunk.stream === 'stop') return
      }
      throw new Unavailable(
        'the operator closed the connection before the end of the output; is it still running?',
      )
    } catch (error) {
      if (!isAway(error) || !of.follow || systemClock.monotonic() - seenAt > AWAY_MS) throw error
    }
    await systemClock.sleep(PAUSE_MS)
  }
}

async function* transfer(
  socket: string,
  of: Pick<Attempt, 'uid' | 'run' | 'attempt'> & { from: number; follow: boolean },
): AsyncGenerator<{ chunk: OutputChunk; next: number }> {
  const { uid, run, from, follow } = of
  const query = { uid, attempt: String(of.attempt), from: String(from), follow: String(follow) }
  const path = `/v1/outputs/${encodeURIComponent(run)}/chunks?${new URLSearchParams(query).toString()}`
  let rest: Buffer = Buffer.alloc(0)
  let at = from
  for await (const part of (await openRequest(socket, { path })) as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? part : Buffer.concat([rest, part])
    const end = wholeChunks(bytes)
    for (const each of placedChunks(bytes.subarray(0, end), at)) {
      at = each.next
      yield each
    }
    rest = bytes.subarray(end)
  }
}

/** Whether the operator did not answer, or closed the connection too early. */
export function isAway(error: unknown): boolean {
  const isHangUp =
    (error as NodeJS.ErrnoException).code === 'ECONNRESET' || (error as Error).message === 'aborted'
  return error instanceof Unavailable || isHangUp
}
