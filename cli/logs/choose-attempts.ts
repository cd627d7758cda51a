import type { Attempt } from './client.ts'

/** Which attempt of each run is printed: the given one, or the last one that has begun. */

/** One attempt of each run. `number` undefined: the last one that has begun; if none has, the last one. */
export function chosen(all: readonly Attempt[], number: number | undefined): Attempt[] {
  const byRun = new Map<string, Attempt>()
  for (const each of all) {
    const isWanted = number === undefined ? hasBegun(each) || !byRun.has(each.run) : each.attempt === number
    if (isWanted) byRun.set(each.run, each)
  }
  return [...byRun.values()]
}

/** Whether the output of a run that is followed may go on in another attempt. */
export function expectsMore(all: readonly Attempt[], number: number | undefined): boolean {
  return all.some(({ going, attempt }) => going && (number === undefined || attempt === number))
}

/** False for a pending retry, and for an attempt that ended without a start. */
export function hasBegun({ going, pending, started, output }: Attempt): boolean {
  return output !== undefined || started === true || (going && !pending)
}
