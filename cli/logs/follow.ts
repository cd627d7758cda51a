import { systemClock } from '../../platform/clock.ts'
import { chosen, expectsMore } from './choose-attempts.ts'
import { type Attempt, isAway, readAttempts, readOutput } from './client.ts'
import type { Printer } from './printer.ts'

/** Prints the output of attempts: what has arrived so far, or all of it until it ends. */
export interface Shown {
  socket: string
  printer: Printer
}

/** What was printed of one attempt. `isGood`: none of its output is missing. `next`: the position from which to continue. */
interface Printed {
  isGood: boolean
  next: number
}

/** How often to look for further runs of a fire, ms. The interval grows while none starts, because each look reads all of them. */
const LOOK_MS = 500
const LONGEST_LOOK_MS = 5_000

const keyOf = ({ run, attempt }: Attempt): string => `${run} ${attempt}`

/** Prints what has arrived of each attempt (or its last lines), one after another. Answers what was printed, by run and attempt. */
export async function printAttempts(
  shown: Shown,
  attempts: readonly Attempt[],
): Promise<ReadonlyMap<string, Printed>> {
  const printed = new Map<string, Printed>()
  for (const attempt of attempts) {
    shown.printer.hold(attempt.run)
    printed.set(keyOf(attempt), await print(shown, attempt, { follow: false, from: 0 }))
    await shown.printer.release(attempt.run)
  }
  return printed
}

/**
 * Prints all runs of a fire side by side until the last one ends, runs and retries that start later included. `attempt`: only this attempt
 * of each run. `from`: what was printed of each attempt before.
 */
export async function followRun(
  shown: Shown,
  run: string,
  { attempt: number, from }: { attempt?: number | undefined; from?: ReadonlyMap<string, Printed> },
): Promise<boolean> {
  const following = new Map<string, Promise<Printed>>()
  /** The latest of each run: the next attempt is printed after it. */
  const latest = new Map<string, Promise<Printed>>()
  let lookMs = LOOK_MS
  for (let ended: Printed[] | undefined; ; ) {
    const { attempts, waits } = await lookFor(shown, run, following.size > 0)
    const more = chosen(attempts, number).filter(
      // The attempt before a pending retry may still be on its way to the log store.
      each => !following.has(keyOf(each)) && !(each.pending && each.attempt > 1),
    )
    // Every known attempt had ended. It is over, unless another one has started since, or waits.
    if (ended && more.length === 0 && !waits && !expectsMore(attempts, number))
      return ended.every(({ isGood }) => isGood)
    for (const attempt of more) {
      const on = { follow: true, from: from?.get(keyOf(attempt))?.next ?? 0 }
      const printing = (latest.get(attempt.run) ?? Promise.resolve()).then(() => print(shown, attempt, on))
      printing.catch(() => undefined)
      following.set(keyOf(attempt), printing)
      latest.set(attempt.run, printing)
    }
    lookMs = more.length > 0 || waits ? LOOK_MS : Math.min(lookMs * 1.5, LONGEST_LOOK_MS)
    const hadEnded = ended !== undefined
    const resting = new AbortController()
    const rest = systemClock.sleep(lookMs, resting.signal).catch(() => undefined)
    ended = await Promise.race([Promise.all(following.values()), rest.then(() => undefined)])
    // While only a retry is awaited, the looks become rarer, too.
    if (ended) await Promise.race([rest, ...(hadEnded ? [] : [systemClock.sleep(LOOK_MS)])])
    resting.abort()
  }
}

/** An absent operator is an error only if nothing is followed yet: readOutput waits for it. */
async function lookFor(
  { socket }: Shown,
  run: string,
  isFollowing: boolean,
): Promise<Awaited<ReturnType<typeof readAttempts>>> {
  try {
    return await readAttempts(socket, run)
  } catch (error) {
    if (!isFollowing || !isAway(error)) throw error
    return { attempts: [], waits: true }
  }
}

async function print(
  { socket, printer }: Shown,
  attempt: Attempt,
  on: { follow: boolean; from: number },
): Promise<Printed> {
  const { run, uid, output, outcome, started } = attempt
  const printed = { isGood: true, next: on.from }
  if (output?.expired) {
    printer.say(`the output of ${run} has expired: retention removed it`)
    return { ...printed, isGood: false }
  }
  // It never started, so it has no output.
  if (started === false && !output) return printed
  let isEnded = false
  for await (const { chunk, next } of readOutput(socket, { uid, run, attempt: attempt.attempt, ...on })) {
    printed.next = next
    await printer.print(chunk, run)
    if (chunk.stream === 'stop') isEnded = chunk.ended
    else if (chunk.stream === 'lost') printed.isGood = false
  }
  await printer.finish(run)
  await printer.release(run)
  // With `follow` the operator ends the transfer only when no more output can arrive.
  const isOver = on.follow || outcome !== undefined
  if (isEnded || !isOver) return printed
  const how = outcome === undefined ? '' : ` (${outcome})`
  printer.say(`${run} has ended${how}, but the rest of its output has not arrived`)
  return { ...printed, isGood: printed.isGood && !on.follow }
}
