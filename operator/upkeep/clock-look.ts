import { latestUsed } from '../../core/fires/clock-epoch.ts'
import { WAVE } from '../../core/keys.ts'
import type { JobEntry } from '../../core/records/entry.ts'
import type { Context } from '../context.ts'
import { nameKey, type ObjectName } from '../object-name.ts'

/**
 * Looks for jobs whose times are ahead of the operator's clock, at each beacon. A job that is seen so in three beacons in a row was used
 * under a clock that was ahead, and gets a new clock epoch (operator/jobs/clock-set-back.ts).
 */
export interface ClockLook {
  /** Looks once. Calls `onAhead` for each job that was seen at least three times in a row. `key`: `<namespace>/<name>`. */
  look(onAhead: (key: string) => void): void
  /** Whether the last three looks saw this job. */
  wasAhead(of: ObjectName): boolean
}

const LOOKS = 3

export function createClockLook({
  mirrors,
  keys,
  clock,
}: Pick<Context, 'keys' | 'clock'> & { mirrors: Pick<Context['mirrors'], 'jobs' | 'cells'> }): ClockLook {
  let seen = new Map<string, number>()

  /** The jobs that are ahead now. It compares two numbers for each cell and entry: a millisecond for ten thousand jobs. */
  function ahead(): Set<string> {
    const limit = latestUsed(clock.now())
    const found = new Set<string>()
    for (const { value } of mirrors.jobs.entries()) if (countsFrom(value) > limit) found.add(nameKey(value))
    for (const { key, value } of mirrors.cells.entries()) {
      if (value.lastFire <= limit) continue
      const ref = keys.parseCell(key)
      if (ref?.kind === 'job' && ref.target !== WAVE) found.add(nameKey(ref))
    }
    return found
  }

  return {
    look(onAhead) {
      const before = seen
      seen = new Map([...ahead()].map(key => [key, (before.get(key) ?? 0) + 1]))
      for (const [key, looks] of seen) if (looks >= LOOKS) onAhead(key)
    },
    wasAhead: of => (seen.get(nameKey(of)) ?? 0) >= LOOKS,
  }
}

function countsFrom({ scheduleChangedAt, editing }: JobEntry): number {
  return Math.max(scheduleChangedAt, editing?.at ?? 0)
}
