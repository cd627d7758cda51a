import { systemClock } from '../../platform/clock.ts'
import { type Operator } from '../operator-client.ts'
import { type Attempt, isAway, readAttempts, readOutput } from './client.ts'
import type { Printer } from './printer.ts'

/** Prints the output of attempts: what has arrived so far, or all of it until it ends. */
export interface Shown {
  operator: Operator
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

/** Prints what has arrived of each attempt (or its last lines), one after another. Answers what was printed, by run. */
export async function printAttempts(
  shown: Shown,
  attempts: readonly Attempt[],
): Promise<ReadonlyMap<string, Printed>> {
  const printed = new Map<string, Printed>()
  for (const attempt of attempts) {
    shown.printer.hold(attempt.run)
    printed.set(attempt.run, await print(shown, attempt, { follow: false, from: 0 }))
    await shown.printer.release(attempt.run)
  }
  return printed
}

/**
 * Prints all runs of a fire side by side until the last one ends, runs that start later included. `choose`: which attempt of each run.
 * `from`: what was printed of each before.
 */
export async function followRun(
  shown: Shown,
  run: string,
  { choose, from }: { choose(all: Attempt[]): Attempt[]; from?: ReadonlyMap<string, Printed> },
): Promise<boolean> {
  const following = new Map<string, Promise<Printed>>()
  let lookMs = LOOK_MS
  for (let ended: Printed[] | undefined; ; ) {
    const { attempts, waits } = await lookFor(shown, run, following.size > 0)
    const more = choose(attempts).filter(attempt => !following.has(attempt.run))
    // Every known run had ended. It is over, unless another one has started since, or waits.
    if (ended && more.length === 0 && !waits) return ended.every(({ isGood }) => isGood)
    for (const attempt of more) {
      const on = { follow: true, from: from?.get(attempt.run)?.next ?? 0 }
      const printing = print(shown, attempt, on)
      printing.catch(() => undefined)
      following.set(attempt.run, printing)
    }
    lookMs = more.length > 0 || waits ? LOOK_MS : Math.min(lookMs * 1.5, LONGEST_LOOK_MS)
    const resting = new AbortController()
    const rest = systemClock.sleep(lookMs, resting.signal).catch(() => undefined)
    ended = await Promise.race([Promise.all(following.values()), rest.then(() => undefined)])
    if (ended) await Promise.race([rest, systemClock.sleep(LOOK_MS)])
    resting.abort()
  }
}

/** An absent operator is an error only if nothing is followed yet: readOutput waits for it. */
async function lookFor(
  { operator }: Shown,
  run: string,
  isFollowing: boolean,
): Promise<Awaited<ReturnType<typeof readAttempts>>> {
  try {
    return await readAttempts(operator, run)
  } catch (error) {
    if (!isFollowing || !isAway(error)) throw error
    return { attempts: [], waits: true }
  }
}

async function print(
  { operator, printer }: Shown,
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
  for await (const { chunk, next } of readOutput(operator, { uid, run, attempt: attempt.attempt, ...on })) {
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
