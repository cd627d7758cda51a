import type { Decision } from '../../core/fires/decision.ts'
import type { Cell } from '../../core/records/state.ts'
import { settle } from '../../store/protocol/settle.ts'
import type { MaybeAbsent } from '../../store/protocol/versioned.ts'
import type { Context } from '../session/context.ts'
import { retryAfterRefusal } from './claim-fire.ts'
import { markReplaced } from './mark-replaced.ts'
import type { Turn } from './timetables.ts'

/**
 * Records the outcomes of times that run nowhere, and puts a time that has to wait into the cell. Under Replace, marks the runs that hold it
 * back for their end. Answers when to decide again, ms from now.
 */
export async function settleTimes(
  context: Context,
  turn: Turn,
  { cell, decision }: { cell: MaybeAbsent<Cell>; decision: Extract<Decision, { kind: 'wait' | 'settle' }> },
): Promise<number> {
  const { keys, clock, agent, session, batcher, cells } = context
  const settled = settle({
    keys,
    ref: turn.ref,
    entry: turn.entry,
    cell,
    settle: decision.settle,
    now: clock.now(),
    agent: { name: agent, session },
    ...(decision.kind === 'wait' ? { wait: decision } : {}),
  })
  const answer = await batcher.txn(settled.txn)
  if (!answer.ok) return retryAfterRefusal(context, turn, { cell, gets: answer.gets })
  cells.putWritten(cell.key, answer.revision, settled.cell)
  if (decision.kind === 'wait' && decision.replace) await markReplaced(context, settled.cell)
  return 0
}
