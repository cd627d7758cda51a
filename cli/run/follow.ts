import { isNamed } from '../../core/keys.ts'
import type { Result } from '../../core/records/state.ts'
import { systemClock } from '../../platform/clock.ts'
import { Unavailable } from '../../platform/errors.ts'
import { readAttempts } from '../logs/client.ts'
import { readHistory, readRun } from '../operator-client.ts'
import { renderOutcome } from '../up/table.ts'
import { type End, endIn, reasoned } from './outcome-from-log.ts'

/** Looks at a ShellRun until it has ended, and prints what ends of it. Answers the exit code, as `run --help` says it. */

const LOOK_EVERY_MS = 250
/** An operator that is started again is waited for so long, ms. */
const AWAY_MS = 60_000
/** Of a run whose object is gone: so long after the last of its results no more is expected; and so long after it went none is, ms. */
const SETTLED_MS = 1_000
const RECORDED_WITHIN_MS = 15_000
const TIMED_OUT = 124

interface Made {
  namespace: string
  name: string
  run: string
}

/** `timeoutMs`: it is followed no longer. */
export async function followRun(
  socket: string,
  made: Made,
  timeoutMs = Number.POSITIVE_INFINITY,
): Promise<number> {
  const what = `${made.namespace}/${made.name}`
  const until = systemClock.monotonic() + timeoutMs
  const say = saying(what)
  const look = looking(socket, made)
  let answeredAt = systemClock.monotonic()
  while (systemClock.monotonic() < until) {
    try {
      const seen = await look()
      answeredAt = systemClock.monotonic()
      if (seen === 'unseen') return say('it was deleted before its end was seen', 1)
      if (seen.end) return seen.end.succeeded ? 0 : say(seen.end.message, 1)
      if (seen.waiting) say(seen.waiting, 0)
    } catch (error) {
      if (!(error instanceof Unavailable) || systemClock.monotonic() - answeredAt > AWAY_MS) throw error
    }
    await systemClock.sleep(Math.min(LOOK_EVERY_MS, Math.max(until - systemClock.monotonic(), 0)))
  }
  return say(
    `has not ended within ${timeoutMs / 1_000} s, and goes on; \`shellcron kill ${made.run}\` ends it`,
    TIMED_OUT,
  )
}

/** To stderr, the same only once in a row. */
function saying(what: string): <C extends number>(message: string, code: C) => C {
  let last = ''
  return (message, code) => {
    if (message !== last) process.stderr.write(`shellcron: ${what}: ${message}\n`)
    last = message
    return code
  }
}

type Seen = { end?: End | undefined; waiting?: string | undefined } | 'unseen'

/**
 * One look, which prints what has ended. The object says how it stands with the run; when that is gone (by its ttlSecondsAfterFinished, say)
 * the log store does, which stores results a moment after they were made.
 */
function looking(socket: string, made: Made): () => Promise<Seen> {
  const printed = new Set<string>()
  let goneAt: number | undefined
  let newsAt = 0
  const print = (results: readonly Result[]) => {
    for (const row of results) {
      const key = `${row.run} ${row.attempt}`
      if (printed.has(key)) continue
      printed.add(key)
      newsAt = systemClock.monotonic()
      process.stdout.write(`${renderOutcome(row)}\n`)
    }
  }
  return async () => {
    const object = await readRun(socket, made)
    const results = await resultsOf(socket, made)
    print(results)
    if (object) return { end: endOf(object.status), waiting: waitingFor(object.status) }
    const now = systemClock.monotonic()
    goneAt ??= now
    const end = endIn(results)
    if (!end && now - goneAt > RECORDED_WITHIN_MS) return (await isGoing(socket, made.run)) ? {} : 'unseen'
    if (!end || now - Math.max(newsAt, goneAt) < SETTLED_MS) return {}
    return (await isGoing(socket, made.run)) ? {} : { end }
  }
}

async function isGoing(socket: string, run: string): Promise<boolean> {
  const { attempts, waits } = await readAttempts(socket, run)
  return waits || attempts.some(({ going }) => going)
}

type Status = NonNullable<Awaited<ReturnType<typeof readRun>>>['status']

function endOf({ conditions, runs }: Status): End | undefined {
  const end = conditions.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  )
  return end && { succeeded: end.type === 'Complete', message: reasoned(end.message, runs[0]?.reason) }
}

/** Why it cannot begin, if it is that. */
function waitingFor({ conditions }: Status): string | undefined {
  const ready = conditions.find(({ type }) => type === 'Ready')
  if (!ready || ready.reason === 'Pending' || ready.reason === 'Running') return undefined
  return `waits: ${ready.reason}: ${ready.message}`
}

/** Each result of the run, in the order of their ends. A ShellRun of its name may have been before: its id has another uid. */
async function resultsOf(socket: string, { namespace, name, run }: Made): Promise<Result[]> {
  const results: Result[] = []
  let cursor: string | undefined
  do {
    const query = { namespace, name, kind: 'run', limit: '1000', ...(cursor ? { cursor } : {}) }
    const page = await readHistory(socket, query)
    results.push(...page.rows.filter(row => isNamed(row.run, run)))
    cursor = page.cursor
  } while (cursor)
  return results.toReversed()
}
