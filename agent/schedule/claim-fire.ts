import { decide } from '../../core/fires/decide.ts'
import type { Decision } from '../../core/fires/decision.ts'
import { type CellRef, scheduledRunId } from '../../core/keys.ts'
import type { JobEntry } from '../../core/records/entry.ts'
import type { Cell } from '../../core/records/state.ts'
import type { KeyValue } from '../../store/etcd/types.ts'
import { claim } from '../../store/protocol/claim.ts'
import { settle } from '../../store/protocol/settle.ts'
import type { MaybeAbsent, Versioned } from '../../store/protocol/versioned.ts'
import { guards } from '../model-guards.ts'
import type { Runs } from '../runs/supervisor.ts'
import type { Context } from '../session/context.ts'
import { endForReplacement } from './mark-replaced.ts'
import { sendClaim } from './send-claim.ts'
import type { Place, Planned } from './timetables.ts'
import { lookAtWave, type Wave } from './wave-slot.ts'

/** One look at one target of a job: what core/fires/decide.ts decides about it is done. */

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
    const { entry } = plan
    const cell = cells.get(cellKey) ?? (await cells.read(cellKey))
    const foreign = cell.value !== undefined && cell.value.uid !== entry.value.uid
    if (foreign || isNoTarget(entry.value, cell)) {
      // An object of the same name is still being cleared away, or the operator has not made me a target yet, or no longer has me as one.
      cells.forget(cellKey)
      return clock.now() + DECLINED_RETRY_MS
    }
    const { decision, wave } = await judge(plan, place.ref, { cell, lead })
    if (decision.kind === 'idle') return idle(entry.value, cell, { at: decision.at, wave })
    const declined = decision.kind === 'claim' ? await declinesUntil(plan, place, decision.time) : undefined
    if (declined !== undefined) {
      // Somebody else is about to change it.
      cells.forget(cellKey)
      return declined
    }
    return clock.now() + (await apply(plan, place.ref, { cell, decision, wave }))
  }

  function declinesUntil({ entry: { value: entry }, offset }: Planned, { ref, rank }: Place, time: number) {
    const what = keys.cell(ref)
    const others = context.world.able(entry).length - 1
    return context.presence.declinesUntil({
      what,
      entry,
      from: time + offset,
      rank,
      others,
      signal: context.signal,
    })
  }

  /** What goes in waves is decided once its wave has been looked at; what has a place there is claimed in turn. */
  async function judge(
    { entry, times, offset }: Planned,
    ref: CellRef,
    { cell, lead }: { cell: MaybeAbsent<Cell>; lead: number },
  ): Promise<{ decision: Decision; wave?: Wave | undefined }> {
    const input = { entry: entry.value, times, offset, cell: cell.value, now: clock.now(), lead }
    const decision = decide(input)
    const wave = decision.kind === 'claim' ? await lookAtWave(context, entry, ref.target) : undefined
    if (decision.kind !== 'claim' || !wave) return { decision }
    if (wave.isFull) return { decision: decide({ ...input, full: true }), wave }
    const at = cell.value?.waiting ? 0 : decision.time + offset + wave.claimAfter(lead)
    return { decision: clock.now() < at ? { kind: 'idle', at } : decision, wave }
  }

  async function idle(
    entry: JobEntry,
    cell: MaybeAbsent<Cell>,
    { at, wave }: { at: number | undefined; wave: Wave | undefined },
  ): Promise<number | undefined> {
    if (!cell.value?.waiting || !guards.looksAtWaiting()) return at
    cells.forget(cell.key)
    if (entry.concurrencyPolicy === 'Replace') await endForReplacement(context, cell.value)
    return earliest(at, clock.now() + (wave?.pollAfter ?? POLL_MS))
  }

  /** Answers when to look again, ms from now. */
  async function apply(plan: Planned, ref: CellRef, { cell, decision, wave }: ToDo): Promise<number> {
    const { entry, offset } = plan
    const by = { keys, ref, entry, cell, settle: decision.settle, now: clock.now() }
    if (decision.kind === 'claim') {
      // Others may have taken the last place while the cell was read; from here to the asking nothing comes in between.
      if (!mayClaim()) return 0
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
        ...(wave ? { wave } : {}),
      })
      const answer = await sendClaim(context, claimed, active => {
        cells.wrote(cell.key, active.mod, claimed.cell)
        runs.start(active, entry.value)
      })
      return answer.ok ? 0 : refused({ cell, entry, wave }, answer.gets)
    }
    const wait = decision.kind === 'wait' ? { wait: decision } : {}
    const settled = settle({ ...by, agent: { name: agent, session: context.session }, ...wait })
    const answer = await context.batcher.txn(settled.txn)
    if (!answer.ok) return refused({ cell, entry }, answer.gets)
    cells.wrote(cell.key, answer.revision, settled.cell)
    if (decision.kind === 'wait' && decision.replace) await endForReplacement(context, settled.cell)
    return 0
  }

  /**
   * Refused: if it was neither the cell nor the wave then the entry or my registration changed; the watch will say so, and wakes this
   * job.
   */
  async function refused(
    { cell, entry, wave }: { cell: MaybeAbsent<Cell>; entry: Versioned<JobEntry>; wave?: Wave | undefined },
    [item, waveItem]: readonly (KeyValue | undefined)[],
  ): Promise<number> {
    const now = cells.saw(cell.key, item)
    if (now.mod !== cell.mod) return 0
    const lost = wave?.lost(waveItem)
    if (lost !== undefined) return lost
    log.debug({ key: entry.key }, 'claim.refused')
    return REFUSED_PAUSE_MS
  }

  return take
}

interface ToDo {
  cell: MaybeAbsent<Cell>
  decision: Exclude<Decision, { kind: 'idle' }>
  wave: Wave | undefined
}

/** In All the operator says who is a target, by its cell. */
function isNoTarget({ command }: JobEntry, { value }: MaybeAbsent<Cell>): boolean {
  return command.placement.mode === 'All' && (!value || value.retired === true)
}

function earliest(...times: (number | undefined)[]): number | undefined {
  const known = times.filter(time => time !== undefined)
  return known.length > 0 ? Math.min(...known) : undefined
}
