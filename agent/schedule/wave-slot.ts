import { goesInWaves, isFull, slotsOf, waveOf } from '../../core/fires/wave.ts'
import {
  claimAfter,
  claimAgainAfter,
  paceOf,
  pollAfter,
  queuePosition,
} from '../../core/fires/wave-timing.ts'
import type { Entry, RunEntry } from '../../core/records/entry.ts'
import { type Cell, cellSchema } from '../../core/records/state.ts'
import type { KeyValue } from '../../store/etcd/types.ts'
import { type MaybeAbsent, parseVersioned, type Versioned } from '../../store/protocol/versioned.ts'
import type { Context } from '../session/context.ts'

/** One look at the wave of an entry: read now, as others change it all the time. */
export interface Wave {
  cell: MaybeAbsent<Cell>
  /** The entry beside its own that says how many places there are: a ShellRun's job. */
  under?: { key: string; mod: number }
  isFull: boolean
  /** When who waits for a place looks again, ms from now. */
  pollAfter: number
  /** When this agent claims a time that nothing holds back, ms from its instant. */
  claimAfter(lead: number): number
  /** If a refused claim lost the comparison of the wave, which is now `item`: when to try again, ms from now. */
  lost(item: KeyValue | undefined): number | undefined
}

type Deps = Pick<Context, 'world' | 'cells' | 'keys' | 'pool' | 'agent' | 'clock' | 'pace'>

/** undefined: it goes everywhere at once. */
export async function lookAtWave(
  deps: Deps,
  entry: Versioned<Entry>,
  target: string,
): Promise<Wave | undefined> {
  const { value } = entry
  if (!goesInWaves(value.command.placement)) return undefined
  const { world, cells, keys, pool, agent, clock, pace } = deps
  const began = clock.monotonic()
  const cell = await cells.read(keys.cell(waveOf(pool, ofRun(value))))
  pace.ms = paceOf(pace.ms, clock.monotonic() - began)
  // After the read: what is compared is then not older than what was read.
  const limit = limitOf(deps, value)
  if (!limit) return undefined
  const { places, under } = limit
  const ranked = world.eligible(value, target)
  const at = (wave: Cell | undefined) => ({
    turn: queuePosition(ranked, agent, wave?.turn),
    free: Math.max(0, places - (wave?.active.length ?? 0)),
    pace: pace.ms,
  })
  const now = at(cell.value)
  return {
    cell,
    ...(under ? { under } : {}),
    isFull: isFull(cell.value, places),
    pollAfter: pollAfter(now.turn, places, { uid: value.uid, agent }),
    claimAfter: lead => claimAfter({ ...now, agents: ranked.length, lead }),
    lost: item =>
      (item?.mod ?? 0) === cell.mod
        ? undefined
        : claimAgainAfter({ ...at(parseVersioned(cellSchema, cell.key, item).value), chance: Math.random() }),
  }
}

function ofRun(entry: Entry) {
  const { kind, namespace, name } = entry
  return { kind, namespace, name, jobName: entry.kind === 'run' ? entry.jobRef?.name : undefined }
}

/** A ShellRun shares the places of its job, and goes by the lower limit of the two. */
function limitOf(
  { world, keys, pool }: Deps,
  entry: Entry,
): { places: number; under?: { key: string; mod: number } } | undefined {
  const { placement } = entry.command
  const own = slotsOf(placement, world.matched(placement))
  if (own === undefined) return undefined
  const job = entry.kind === 'run' ? jobOf(world, entry, keys.job) : undefined
  if (!job) return { places: own }
  const its = job.value.command.placement
  const places = slotsOf(its, world.matched(its)) ?? own
  return { places: Math.min(own, places), under: { key: job.key, mod: job.mod } }

  function jobOf({ jobs }: Deps['world'], { namespace, jobRef }: RunEntry, key: typeof keys.job) {
    const job = jobRef && jobs.get(key({ pool, namespace, name: jobRef.name }))
    return job?.value.uid === jobRef?.uid ? job : undefined
  }
}
