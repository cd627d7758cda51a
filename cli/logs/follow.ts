import { systemClock } from '../../platform/clock.ts'
import { type Attempt, isAway, readAttempts, readOutput } from './client.ts'
import type { Printer } from './printer.ts'

/** Prints the output of attempts, as far as it has come or until it has ended. */
export interface Shown {
  socket: string
  printer: Printer
}

/** Of one attempt. `isGood`: there is nothing of it that should be there and is gone. `next`: where it goes on. */
interface Printed {
  isGood: boolean
  next: number
}

/** How often it is looked whether more parts of a fire have begun: ever more seldom while none has, as each look is at all of them, ms. */
const LOOK_MS = 500
const LONGEST_LOOK_MS = 5_000

/** What has come of each, or the last lines of it, one after the other. Answers where each goes on, by its run. */
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
 * All parts of a run side by side, those too that begin later, until none goes on. `choose`: which attempt of each part. `from`: what was
 * printed of each before.
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
    // What had all ended by then was all, unless another part has begun meanwhile or is to begin.
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

/** While something is followed, an operator that is away is that one's to wait for. */
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
    printer.say(`the output of ${run} has expired`)
    return { ...printed, isGood: false }
  }
  // Nothing of it will come, however long it is waited for.
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
  // Who follows is told so only when nothing more is to be hoped for.
  const isOver = on.follow || outcome !== undefined
  if (isEnded || !isOver) return printed
  const how = outcome === undefined ? '' : ` (${outcome})`
  printer.say(`${run} has ended${how}; the rest of its output has not come`)
  return { ...printed, isGood: printed.isGood && !on.follow }
}
