import { isTarget } from '../../core/fires/placement.ts'
import type { Context } from '../context.ts'
import { entryTimes } from '../entry-times.ts'
import type { ObjectName } from '../object-name.ts'
import { readJobState } from '../stored-state.ts'
import type { Desired, JobWorld } from './job-world.ts'

type Deps = Pick<Context, 'etcd' | 'keys' | 'clock' | 'identity' | 'mirrors'>

/** The state of a job as the mirrors show it: cheap, but it may lag. */
export function mirroredJob(deps: Deps, { namespace, name }: ObjectName, desired: Desired): JobWorld {
  const { mirrors } = deps
  const stored = mirrors.storedJobs(namespace, name)
  return worldOf(deps, { desired, stored, cells: mirrors.cellsOf('job', namespace, name) })
}

/** The state of a job as etcd holds it now. `pools`: where it may have an entry that the mirrors do not show yet. */
export async function observeJob(
  deps: Deps,
  name: ObjectName,
  { pools, ...goal }: { desired: Desired; kill?: string; pools: Iterable<string> },
): Promise<JobWorld> {
  const { desired } = goal
  const all = desired.kind === 'entry' ? [...pools, desired.entry.pool] : pools
  return worldOf(deps, { ...goal, ...(await readJobState(deps, name, all)) })
}

function worldOf(
  { mirrors, clock }: Deps,
  seen: Pick<JobWorld, 'desired' | 'stored' | 'cells' | 'kill'>,
): JobWorld {
  return {
    ...seen,
    now: clock.now(),
    members: (pool, placement) =>
      mirrors
        .membersOf(pool)
        .filter(({ agent, member }) => isTarget(placement, agent, member))
        .map(({ agent }) => agent),
    timesOf: entry => entryTimes(entry).times,
  }
}
