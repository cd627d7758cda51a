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

/** The wave of a job with maxParallel, as it was just read: other agents change it all the time. */
export interface Wave {
  cell: MaybeAbsent<Cell>
  /** A ShellRun's job: the other entry whose maxParallel limits the wave. */
  under?: { key: string; mod: number }
  isFull: boolean
  /** When a time that waits for a slot is looked at again, ms from now. */
  pollAfter: number
  /** When this agent claims a time that nothing holds back, ms after its instant (negative: before). */
  claimAfter(lead: number): number
  /** A claim was refused, and the wave is now `item`. If that was the reason: when to try again, ms from now. */
  lost(item: KeyValue | undefined): number | undefined
}

type Deps = Pick<Context, 'world' | 'cells' | 'keys' | 'pool' | 'agent' | 'clock' | 'pace'>

/** undefined: the job has no maxParallel. */
export async function readWave(
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
  // After the read, so that the entry that the claim compares is not older than the wave.
  const limit = limitOf(deps, value)
  if (!limit) return undefined
  const { slots, under } = limit
  const ranked = world.rankedAgents(value, target)
  const at = (wave: Cell | undefined) => ({
    turn: queuePosition(ranked, agent, wave?.turn),
    free: Math.max(0, slots - (wave?.active.length ?? 0)),
    pace: pace.ms,
  })
  const now = at(cell.value)
  return {
    cell,
    ...(under ? { under } : {}),
    isFull: isFull(cell.value, slots),
    pollAfter: pollAfter(now.turn, slots, { uid: value.uid, agent }),
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

/** A ShellRun shares the slots of its job; the lower limit of the two counts. */
function limitOf(
  { world, keys, pool }: Deps,
  entry: Entry,
): { slots: number; under?: { key: string; mod: number } } | undefined {
  const { placement } = entry.command
  const own = slotsOf(placement, world.countTargets(placement))
  if (own === undefined) return undefined
  const job = entry.kind === 'run' ? jobOf(world, entry, keys.job) : undefined
  if (!job) return { slots: own }
  const its = job.value.command.placement
  const slots = slotsOf(its, world.countTargets(its)) ?? own
  return { slots: Math.min(own, slots), under: { key: job.key, mod: job.mod } }

  function jobOf({ jobs }: Deps['world'], { namespace, jobRef }: RunEntry, key: typeof keys.job) {
    const job = jobRef && jobs.get(key({ pool, namespace, name: jobRef.name }))
    return job?.value.uid === jobRef?.uid ? job : undefined
  }
}
