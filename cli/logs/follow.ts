import { systemClock } from '../../runtime/clock.ts'
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

/** How often it is looked whether more parts of a fire have begun, ms. */
const LOOK_MS = 500

/** What has come of each, one after the other. Answers where each goes on, by its run. */
export async function printAttempts(
  shown: Shown,
  attempts: readonly Attempt[],
): Promise<ReadonlyMap<string, Printed>> {
  const printed = new Map<string, Printed>()
  for (const attempt of attempts)
    printed.set(attempt.run, await print(shown, attempt, { follow: false, from: 0 }))
  await shown.printer.flush()
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
  for (;;) {
    for (const attempt of choose(await lookFor(shown, run, following.size > 0))) {
      if (following.has(attempt.run)) continue
      const on = { follow: true, from: from?.get(attempt.run)?.next ?? 0 }
      const printing = print(shown, attempt, on)
      printing.catch(() => undefined)
      following.set(attempt.run, printing)
    }
    const next = systemClock.sleep(LOOK_MS).then(() => undefined)
    const ended = await Promise.race([Promise.all(following.values()), next])
    if (ended) return ended.every(({ isGood }) => isGood)
  }
}

/** While something is followed, an operator that is away is that one's to wait for. */
async function lookFor({ socket }: Shown, run: string, isFollowing: boolean): Promise<Attempt[]> {
  try {
    return await readAttempts(socket, run)
  } catch (error) {
    if (!isFollowing || !isAway(error)) throw error
    return []
  }
}

async function print(
  { socket, printer }: Shown,
  attempt: Attempt,
  on: { follow: boolean; from: number },
): Promise<Printed> {
  const { run, uid, output, outcome } = attempt
  const printed = { isGood: true, next: on.from }
  if (output?.expired) {
    printer.say(`the output of ${run} has expired`)
    return { ...printed, isGood: false }
  }
  let isEnded = false
  let isAny = on.from > 0
  for await (const { chunk, next } of readOutput(socket, { uid, run, attempt: attempt.attempt, ...on })) {
    printed.next = next
    await printer.print(chunk, run)
    if (chunk.stream === 'stop') isEnded = chunk.ended
    else if (chunk.stream === 'lost') printed.isGood = isAny
    else if (chunk.stream !== 'cut') isAny = true
  }
  await printer.finish(run)
  if (!isEnded && outcome !== undefined)
    printer.say(`${run} has ended (${outcome}); the rest of its output has not come`)
  return printed
}
