import { isNamed } from '../../core/keys.ts'
import type { Result } from '../../core/records/state.ts'
import { systemClock } from '../../platform/clock.ts'
import { Unavailable } from '../../platform/errors.ts'
import { escapeControls } from '../escape-controls.ts'
import { readAttempts } from '../logs/client.ts'
import { type Operator, readHistory, readRun } from '../operator-client.ts'
import { renderOutcome } from '../up/table.ts'
import { type End, endIn, reasoned } from './outcome-from-log.ts'

/** Follows a ShellRun until it ends, and prints each result. Answers the exit code, as `run --help` lists it. */

const LOOK_EVERY_MS = 250
/** How long an operator may be away, as in a restart, ms. */
const AWAY_MS = 60_000
/**
 * For a run whose object is gone: no further result is expected this long after the latest one, and none at all this long after the
 * object went; ms.
 */
const SETTLED_MS = 1_000
const RECORDED_WITHIN_MS = 15_000
const TIMED_OUT = 124

interface Made {
  namespace: string
  name: string
  run: string
}

/** `timeoutMs`: how long to follow it, at most. */
export async function followRun(
  operator: Operator,
  made: Made,
  timeoutMs = Number.POSITIVE_INFINITY,
): Promise<number> {
  const what = `${made.namespace}/${made.name}`
  const until = systemClock.monotonic() + timeoutMs
  const say = saying(what)
  const look = looking(operator, made)
  let answeredAt = systemClock.monotonic()
  while (systemClock.monotonic() < until) {
    try {
      const seen = await look()
      answeredAt = systemClock.monotonic()
      if (seen === 'unseen') return say('the ShellRun was deleted before its outcome was recorded', 1)
      if (seen.end) return seen.end.succeeded ? 0 : say(seen.end.message, 1)
      if (seen.waiting) say(seen.waiting, 0)
    } catch (error) {
      if (!(error instanceof Unavailable) || systemClock.monotonic() - answeredAt > AWAY_MS) throw error
    }
    await systemClock.sleep(Math.min(LOOK_EVERY_MS, Math.max(until - systemClock.monotonic(), 0)))
  }
  return say(
    `did not end within ${timeoutMs / 1_000} s, and continues; to end it, run \`shellcron kill ${made.run}\``,
    TIMED_OUT,
  )
}

/** Prints to stderr, but not the same message twice in a row. */
function saying(what: string): <C extends number>(message: string, code: C) => C {
  let last = ''
  return (message, code) => {
    if (message !== last) process.stderr.write(`shellcron: ${what}: ${escapeControls(message)}\n`)
    last = message
    return code
  }
}

type Seen = { end?: End | undefined; waiting?: string | undefined } | 'unseen'

/**
 * Answers a function that looks once and prints new results. The object's status tells the state of the run. If the object is gone (for
 * example after its ttlSecondsAfterFinished), the log store tells it; results arrive there a moment later.
 */
function looking(operator: Operator, made: Made): () => Promise<Seen> {
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
    const object = await readRun(operator, made)
    const results = await resultsOf(operator, made)
    print(results)
    if (object) return { end: endOf(object.status), waiting: waitingFor(object.status) }
    const now = systemClock.monotonic()
    goneAt ??= now
    const end = endIn(results)
    if (!end && now - goneAt > RECORDED_WITHIN_MS) return (await isGoing(operator, made.run)) ? {} : 'unseen'
    if (!end || now - Math.max(newsAt, goneAt) < SETTLED_MS) return {}
    return (await isGoing(operator, made.run)) ? {} : { end }
  }
}

async function isGoing(operator: Operator, run: string): Promise<boolean> {
  const { attempts, waits } = await readAttempts(operator, run)
  return waits || attempts.some(({ going }) => going)
}

type Status = NonNullable<Awaited<ReturnType<typeof readRun>>>['status']

function endOf({ conditions, runs }: Status): End | undefined {
  const end = conditions.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  )
  return end && { succeeded: end.type === 'Complete', message: reasoned(end.message, runs[0]?.reason) }
}

/** Why the run cannot start; undefined: nothing is wrong. */
function waitingFor({ conditions }: Status): string | undefined {
  const ready = conditions.find(({ type }) => type === 'Ready')
  if (!ready || ready.reason === 'Pending' || ready.reason === 'Running') return undefined
  return `not started: ${ready.reason}: ${ready.message}`
}

/** The run's results, in the order of their ends. An earlier ShellRun of the same name has another uid in its id. */
async function resultsOf(operator: Operator, { namespace, name, run }: Made): Promise<Result[]> {
  const results: Result[] = []
  let cursor: string | undefined
  do {
    const query = { namespace, name, kind: 'run', limit: '1000', ...(cursor ? { cursor } : {}) }
    const page = await readHistory(operator, query)
    results.push(...page.rows.filter(row => isNamed(row.run, run)))
    cursor = page.cursor
  } while (cursor)
  return results.toReversed()
}
