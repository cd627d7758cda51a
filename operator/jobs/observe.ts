import { isTarget } from '../../core/fires/placement.ts'
import type { Context } from '../context.ts'
import { entryTimes } from '../entry-times.ts'
import type { ObjectName } from '../object-name.ts'
import { readJobState } from '../stored-state.ts'
import type { Desired, JobState } from './job-state.ts'

type Deps = Pick<Context, 'etcd' | 'keys' | 'clock' | 'identity' | 'mirrors' | 'clockLook'>

/** The state of a job as the mirrors show it: cheap, but it may lag. */
export function mirroredJob(deps: Deps, { namespace, name }: ObjectName, desired: Desired): JobState {
  const { mirrors } = deps
  const stored = mirrors.storedJobs(namespace, name)
  const cells = mirrors.cellsOf('job', namespace, name)
  return stateOf(deps, { namespace, name }, { desired, stored, cells })
}

/** The state of a job as etcd holds it now. `pools`: where it may have an entry that the mirrors do not show yet. */
export async function observeJob(
  deps: Deps,
  name: ObjectName,
  { pools, ...goal }: { desired: Desired; kill?: string; pools: Iterable<string> },
): Promise<JobState> {
  const { desired } = goal
  const all = desired.kind === 'entry' ? [...pools, desired.entry.pool] : pools
  return stateOf(deps, name, { ...goal, ...(await readJobState(deps, name, all)) })
}

function stateOf(
  { mirrors, clock, clockLook }: Deps,
  name: ObjectName,
  seen: Pick<JobState, 'desired' | 'stored' | 'cells' | 'kill'>,
): JobState {
  return {
    ...seen,
    now: clock.now(),
    clockWasAhead: clockLook.wasAhead(name),
    members: (pool, placement) =>
      mirrors
        .membersOf(pool)
        .filter(({ agent, member }) => isTarget(placement, agent, member))
        .map(({ agent }) => agent),
    timesOf: entry => entryTimes(entry).times,
  }
}
