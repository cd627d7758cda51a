import type { Entry, RunEntry } from '../core/records/entry.ts'
import type { Cell } from '../core/records/state.ts'
import {
  claimAfter,
  crowdedPause,
  goesInWaves,
  isFull,
  placesOf,
  pollAfter,
  turnOf,
  waveOf,
} from '../core/wave.ts'
import type { Held, Maybe } from '../store/protocol/held.ts'
import type { Context } from './context.ts'

/** One look at the wave of an entry: read now, as others change it all the time. */
export interface Wave {
  cell: Maybe<Cell>
  /** The entry beside its own that says how many places there are: a ShellRun's job. */
  under?: { key: string; mod: number }
  isFull: boolean
  /** When who waits for a place looks again, ms from now. */
  pollAfter: number
  /** When this agent claims a time that nothing holds back, ms from its instant. */
  claimAfter(lead: number): number
  /** After a comparison of the wave was lost, ms. */
  pause(): number
}

type Deps = Pick<Context, 'world' | 'cells' | 'keys' | 'pool' | 'agent'>

/** undefined: it goes everywhere at once. */
export async function lookAtWave(deps: Deps, entry: Held<Entry>, target: string): Promise<Wave | undefined> {
  const { value } = entry
  if (!goesInWaves(value.command.placement)) return undefined
  const { world, cells, keys, pool, agent } = deps
  const cell = await cells.read(keys.cell(waveOf(pool, ofRun(value))))
  // After the read: what is compared is then not older than what was read.
  const limit = limitOf(deps, value)
  if (!limit) return undefined
  const { places, under } = limit
  const ranked = world.eligible(value, target)
  const turn = turnOf(ranked, agent, cell.value?.turn)
  const free = Math.max(0, places - (cell.value?.active.length ?? 0))
  return {
    cell,
    ...(under ? { under } : {}),
    isFull: isFull(cell.value, places),
    pollAfter: pollAfter(turn, places, { uid: value.uid, agent }),
    claimAfter: lead => claimAfter({ turn, places, free, agents: ranked.length, lead }),
    pause: () => crowdedPause(places, { tries: 0, chance: Math.random() }),
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
  const own = placesOf(placement, world.matched(placement))
  if (own === undefined) return undefined
  const job = entry.kind === 'run' ? jobOf(world, entry, keys.job) : undefined
  if (!job) return { places: own }
  const its = job.value.command.placement
  const places = placesOf(its, world.matched(its)) ?? own
  return { places: Math.min(own, places), under: { key: job.key, mod: job.mod } }

  function jobOf({ jobs }: Deps['world'], { namespace, jobRef }: RunEntry, key: typeof keys.job) {
    const job = jobRef && jobs.get(key({ pool, namespace, name: jobRef.name }))
    return job?.value.uid === jobRef?.uid ? job : undefined
  }
}
