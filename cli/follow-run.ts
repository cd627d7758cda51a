import { isNamed } from '../core/keys.ts'
import { systemClock } from '../runtime/clock.ts'
import { Unavailable } from '../runtime/errors.ts'
import { readHistory, readRun } from './operator-client.ts'
import { renderOutcome } from './up/table.ts'

/** Looks at a ShellRun until it has ended, and prints what ends of it. Answers the exit code, as `run --help` says it. */

const LOOK_EVERY_MS = 250
/** An operator that is started again is waited for so long, ms. */
const AWAY_MS = 60_000
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
  const outcomes = printing(socket, made)
  let answeredAt = systemClock.monotonic()
  while (systemClock.monotonic() < until) {
    try {
      const object = await readRun(socket, made)
      answeredAt = systemClock.monotonic()
      if (!object) return say('it was deleted before its end was seen', 1)
      await outcomes(Date.parse(object.metadata.creationTimestamp))
      const end = endOf(object.status)
      if (end) return end.succeeded ? 0 : say(end.message, 1)
      const waiting = waitingFor(object.status)
      if (waiting) say(waiting, 0)
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

type Status = NonNullable<Awaited<ReturnType<typeof readRun>>>['status']

function endOf({ conditions, runs }: Status): { succeeded: boolean; message: string } | undefined {
  const end = conditions.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  )
  if (!end) return undefined
  const reason = runs[0]?.reason
  const why = reason && !end.message.includes(reason) ? ` (${reason})` : ''
  return { succeeded: end.type === 'Complete', message: `${end.message}${why}` }
}

/** Why it cannot begin, if it is that. */
function waitingFor({ conditions }: Status): string | undefined {
  const ready = conditions.find(({ type }) => type === 'Ready')
  if (!ready || ready.reason === 'Pending' || ready.reason === 'Running') return undefined
  return `waits: ${ready.reason}: ${ready.message}`
}

/** Prints each result of the run once. `since`: of its creation; a ShellRun of its name may have been before. */
function printing(socket: string, { namespace, name, run }: Made): (since: number) => Promise<void> {
  const printed = new Set<string>()
  return async since => {
    const query = { namespace, name, kind: 'run', from: String(since), limit: '1000' }
    const { rows } = await readHistory(socket, query)
    for (const row of rows.toReversed()) {
      const key = `${row.run} ${row.attempt}`
      if (printed.has(key) || !isNamed(row.run, run)) continue
      printed.add(key)
      process.stdout.write(`${renderOutcome(row)}\n`)
    }
  }
}
