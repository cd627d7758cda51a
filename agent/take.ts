import { type Decision, decide } from '../core/due.ts'
import { type CellRef, scheduledRunId } from '../core/keys.ts'
import type { JobEntry } from '../core/records/entry.ts'
import type { Cell } from '../core/records/state.ts'
import type { KeyValue } from '../store/etcd/types.ts'
import { claim } from '../store/protocol/claim.ts'
import type { Held, Maybe } from '../store/protocol/held.ts'
import { settle } from '../store/protocol/settle.ts'
import { ask } from './ask.ts'
import type { Context } from './context.ts'
import type { Runs } from './live.ts'
import type { Place, Planned } from './plans.ts'
import { endForReplacement } from './replace.ts'
import { rules } from './rules.ts'

/** One look at one target of a job: what core/due.ts decides about it is done. */

/** `lead`: how long before its instant a time may be claimed, ms. Answers when to look again; undefined: when something changes. */
export type Take = (plan: Planned, place: Place, lead: number) => Promise<number | undefined>

const DECLINED_RETRY_MS = 1_000
const POLL_MS = 1_000
/** A refusal by something that the watch has not told of yet. */
const REFUSED_PAUSE_MS = 50

export function createTake(context: Context, runs: Runs, mayClaim: () => boolean): Take {
  const { keys, cells, clock, log, agent } = context

  async function take(plan: Planned, place: Place, lead: number): Promise<number | undefined> {
    const cellKey = keys.cell(place.ref)
    const { entry, times, offset } = plan
    const cell = cells.get(cellKey) ?? (await cells.read(cellKey))
    const foreign = cell.value !== undefined && cell.value.uid !== entry.value.uid
    if (foreign || isNoTarget(entry.value, cell)) {
      // An object of the same name is still being cleared away, or the operator has not made me a target yet, or no longer has me as one.
      cells.forget(cellKey)
      return clock.now() + DECLINED_RETRY_MS
    }
    const decision = decide({ entry: entry.value, times, offset, cell: cell.value, now: clock.now(), lead })
    if (decision.kind === 'idle') {
      const polls = cell.value?.waiting && rules.looksAtWaiting() ? clock.now() + POLL_MS : undefined
      if (polls !== undefined) {
        cells.forget(cellKey)
        if (cell.value && entry.value.concurrencyPolicy === 'Replace')
          await endForReplacement(context, cell.value)
      }
      return earliest(decision.at, polls)
    }
    await apply(plan, place.ref, { cell, decision })
    return clock.now()
  }

  async function apply(
    plan: Planned,
    ref: CellRef,
    { cell, decision }: { cell: Maybe<Cell>; decision: Exclude<Decision, { kind: 'idle' }> },
  ): Promise<void> {
    const { entry, offset } = plan
    const by = { keys, ref, entry, cell, settle: decision.settle, now: clock.now() }
    if (decision.kind === 'claim') {
      // Others may have taken the last place while the cell was read; from here to the asking nothing comes in between.
      if (!mayClaim()) return
      const { time } = decision
      const run = scheduledRunId(ref, time)
      const { launcher, session } = context
      const claimed = claim({
        ...by,
        agent,
        session,
        run,
        time,
        notBefore: time + offset,
        instance: launcher.instance,
      })
      const answer = await ask(context, claimed, active => {
        cells.wrote(cell.key, active.mod, claimed.cell)
        runs.start(active, entry.value)
      })
      return answer.ok ? undefined : refused(cell, answer.gets[0], entry)
    }
    const waits = decision.kind === 'wait' ? { wait: decision.time } : {}
    const settled = settle({ ...by, agent: { name: agent, session: context.session }, ...waits })
    const answer = await context.batcher.txn(settled.txn)
    if (!answer.ok) return refused(cell, answer.gets[0], entry)
    cells.wrote(cell.key, answer.revision, settled.cell)
    if (decision.kind === 'wait' && decision.replace) await endForReplacement(context, settled.cell)
  }

  /** Refused: if it was not the cell then the entry or my registration changed; the watch will say so, and wakes this job. */
  async function refused(
    cell: Maybe<Cell>,
    item: KeyValue | undefined,
    entry: Held<JobEntry>,
  ): Promise<void> {
    const now = cells.saw(cell.key, item)
    if (now.mod !== cell.mod) return
    log.debug({ key: entry.key }, 'claim.refused')
    await clock.sleep(REFUSED_PAUSE_MS, context.signal)
  }

  return take
}

/** In All the operator says who is a target, by its cell. */
function isNoTarget({ command }: JobEntry, { value }: Maybe<Cell>): boolean {
  return command.placement.mode === 'All' && (!value || value.retired === true)
}

function earliest(...times: (number | undefined)[]): number | undefined {
  const known = times.filter(time => time !== undefined)
  return known.length > 0 ? Math.min(...known) : undefined
}
