import { runRequestId } from '../agent-requests.ts'
import type { Context } from '../context.ts'
import type { ObjectName } from '../object-name.ts'
import { readRunState } from '../stored-state.ts'
import type { RunState } from './plan.ts'

type Deps = Pick<Context, 'etcd' | 'keys' | 'clock' | 'identity' | 'mirrors'>

/** `written`: a pool in which the ShellRun may have an entry that the mirrors do not show yet. */
export async function observeRun(
  deps: Deps,
  name: ObjectName,
  { desired, written }: { desired: RunState['desired']; written: string | undefined },
): Promise<RunState> {
  const { mirrors, keys, clock } = deps
  const pool = desired.kind === 'entry' ? desired.entry.pool : undefined
  const state = await readRunState(
    deps,
    name,
    [written, pool].filter(each => each !== undefined),
  )
  const requestKey = (target: string) => keys.request(pool ?? '', runRequestId({ ...name, target }))
  return {
    ...state,
    now: clock.now(),
    desired,
    hasRequest: target => mirrors.requests.get(requestKey(target)) !== undefined,
    lives: target => mirrors.sessionOf(pool ?? '', target) !== undefined,
  }
}
