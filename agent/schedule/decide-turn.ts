import { latestUsed } from '../../core/fires/clock-epoch.ts'
import { decide } from '../../core/fires/decide.ts'
import type { Decision } from '../../core/fires/decision.ts'
import type { JobEntry } from '../../core/records/entry.ts'
import type { Cell } from '../../core/records/state.ts'
import type { MaybeAbsent } from '../../store/protocol/versioned.ts'
import { guards } from '../model-guards.ts'
import type { Context } from '../session/context.ts'
import { markReplaced } from './mark-replaced.ts'
import type { Turn } from './timetables.ts'
import { readWave, type Wave } from './wave-slot.ts'

const POLL_MS = 1_000

export interface Decided {
  cell: MaybeAbsent<Cell>
  decision: Decision
  /** The wave of the job, if it has maxParallel and a claim was considered. */
  wave: Wave | undefined
}

/**
 * What core/fires/decide.ts says about one target, from the cell that this agent remembers or reads, and from the job's wave. `lead`: how
 * long before its instant a time may be claimed, ms. undefined: the cell is not for this agent to change.
 */
export async function decideTurn(context: Context, turn: Turn, lead: number): Promise<Decided | undefined> {
  const { keys, cells, clock } = context
  const { entry, times, offset, ref } = turn
  const key = keys.cell(ref)
  const cell = remembered(context, key) ?? (await cells.read(key))
  if (!isMine(entry.value, cell)) {
    cells.forget(key)
    return undefined
  }
  const input = { entry: entry.value, times, offset, cell: cell.value, now: clock.now(), lead }
  const decision = decide(input)
  const wave = decision.kind === 'claim' ? await readWave(context, entry, ref.target) : undefined
  if (decision.kind !== 'claim' || !wave) return { cell, decision, wave: undefined }
  if (wave.isFull) return { cell, decision: decide({ ...input, full: true }), wave }
  // Agents claim the slots of a wave in turn, so that they do not all claim the last one.
  const at = cell.value?.waiting ? 0 : decision.time + offset + wave.claimAfter(lead)
  return { cell, decision: clock.now() < at ? { kind: 'idle', at } : decision, wave }
}

/** A cell that is ahead of the clock was remembered when the clock was wrong. The operator sets such cells back (core/fires/clock-epoch.ts). */
function remembered({ cells, clock }: Context, key: string): MaybeAbsent<Cell> | undefined {
  const cell = cells.get(key)
  return cell && (cell.value?.lastFire ?? 0) > latestUsed(clock.now()) ? undefined : cell
}

/**
 * When to look again after an idle decision. A waiting time is polled every second (rule POLL of docs/protocol.md); under Replace the runs
 * that hold it back are marked for their end, again each time.
 */
export async function lookAgainAt(
  context: Context,
  { entry }: Turn,
  { cell, at, wave }: { cell: MaybeAbsent<Cell>; at: number | undefined; wave: Wave | undefined },
): Promise<number | undefined> {
  if (!cell.value?.waiting || !guards.looksAtWaiting()) return at
  context.cells.forget(cell.key)
  if (entry.value.concurrencyPolicy === 'Replace') await markReplaced(context, cell.value)
  const poll = context.clock.now() + (wave?.pollAfter ?? POLL_MS)
  return at === undefined ? poll : Math.min(at, poll)
}

/** Until when this agent leaves a time to another agent that has the container, Unix ms. undefined: it claims. */
export function declinesUntil(
  { keys, world, presence, signal }: Context,
  { entry, offset, ref, rank }: Turn,
  time: number,
): Promise<number | undefined> {
  const others = world.eligibleAgents(entry.value).length - 1
  const what = keys.cell(ref)
  return presence.declinesUntil({ what, entry: entry.value, from: time + offset, rank, others, signal })
}

/**
 * A cell of another uid belongs to an object of the same name that is still being deleted. In All, the operator creates the cell of each
 * target, and retires it.
 */
function isMine({ uid, command }: JobEntry, { value: cell }: MaybeAbsent<Cell>): boolean {
  if (cell !== undefined && cell.uid !== uid) return false
  return command.placement.mode !== 'All' || (cell !== undefined && cell.retired !== true)
}
