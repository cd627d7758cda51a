import type { Decision } from '../../core/fires/decision.ts'
import { scheduledRunId } from '../../core/keys.ts'
import type { Cell } from '../../core/records/state.ts'
import type { KeyValue } from '../../store/etcd/types.ts'
import { claim } from '../../store/protocol/claim.ts'
import type { MaybeAbsent } from '../../store/protocol/versioned.ts'
import type { Runs } from '../runs/supervisor.ts'
import type { Context } from '../session/context.ts'
import { sendClaim } from './send-claim.ts'
import type { Turn } from './timetables.ts'
import type { Wave } from './wave-slot.ts'

/** After a refusal for a reason that this agent's watches have not shown yet, ms. */
const REFUSED_PAUSE_MS = 50

/** Claims one time of a target and arms its run. Answers when to decide again, ms from now. */
export async function claimFire(
  context: Context,
  turn: Turn,
  of: {
    runs: Runs
    mayClaim(): boolean
    cell: MaybeAbsent<Cell>
    decision: Extract<Decision, { kind: 'claim' }>
    wave: Wave | undefined
  },
): Promise<number> {
  const { cell, wave, runs } = of
  const { entry, offset, ref } = turn
  const { time } = of.decision
  // Other claims may have used the agent's last slot since the cell was read. Nothing comes between this check and the request.
  if (!of.mayClaim()) return 0
  const claimed = claim({
    keys: context.keys,
    ref,
    entry,
    cell,
    settle: of.decision.settle,
    now: context.clock.now(),
    agent: context.agent,
    session: context.session,
    run: scheduledRunId(ref, time, entry.value.clockEpoch),
    time,
    notBefore: time + offset,
    instance: context.launcher.instance,
    ...(wave ? { wave } : {}),
  })
  const answer = await sendClaim(context, claimed, active => {
    context.cells.putWritten(cell.key, active.mod, claimed.cell)
    runs.start(active, entry.value)
  })
  return answer.ok ? 0 : retryAfterRefusal(context, turn, { cell, wave, gets: answer.gets })
}

/**
 * Answers when to decide again, ms from now. If neither the cell nor the wave has changed, the entry or this agent's registration has: the
 * watch will show it and wake the job.
 */
export function retryAfterRefusal(
  { cells, log }: Pick<Context, 'cells' | 'log'>,
  { entry }: Pick<Turn, 'entry'>,
  of: { cell: MaybeAbsent<Cell>; wave?: Wave | undefined; gets: readonly (KeyValue | undefined)[] },
): number {
  const [item, waveItem] = of.gets
  if (cells.putRead(of.cell.key, item).mod !== of.cell.mod) return 0
  const lost = of.wave?.lost(waveItem)
  if (lost !== undefined) return lost
  log.debug({ key: entry.key }, 'claim.refused')
  return REFUSED_PAUSE_MS
}
