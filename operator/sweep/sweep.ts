import { isTarget, ownTargets } from '../../core/fires/placement.ts'
import { type CellRef, scheduledRunId, WAVE } from '../../core/keys.ts'
import type { JobEntry } from '../../core/records/entry.ts'
import type { Cell } from '../../core/records/state.ts'
import { Alarms } from '../../platform/alarms.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import type { Batcher } from '../../store/etcd/batcher.ts'
import { settle } from '../../store/protocol/settle.ts'
import type { MaybeAbsent, Versioned } from '../../store/protocol/versioned.ts'
import { offerId } from '../agent-requests.ts'
import type { Context } from '../context.ts'
import { entryTimes } from '../entry-times.ts'
import { guards } from '../model-guards.ts'
import { decideUnclaimed, lookAt, OPEN_FOR, type UnclaimedDecision } from './decide-unclaimed.ts'

/**
 * The sweep: one alarm per (job, target), three seconds after its next time is due; each claim moves it on, so that it rings only for
 * what nobody took.
 */
export interface Sweeper {
  close(): void
}

type Deps = Pick<Context, 'keys' | 'clock' | 'log' | 'mirrors' | 'requests' | 'epoch'> & { batcher: Batcher }

const FAILED_AGAIN_MS = 3_000
const AT_ONCE = 500

export function startSweep(deps: Deps): Sweeper {
  const { mirrors, keys, clock, log } = deps
  /** By cell key. */
  const targets = new Map<string, CellRef>()
  const byJob = new Map<string, Set<string>>()
  const settledAt = new Map<string, number>()
  /** Open, and nobody to take them. */
  const parked = new Map<string, string>()
  const alarms = new Alarms(clock, { time: 'wall', onDue: keys => void ringAll(keys) })

  async function ringAll(cellKeys: readonly string[]): Promise<void> {
    for (let i = 0; i < cellKeys.length; i += AT_ONCE)
      await Promise.all(cellKeys.slice(i, i + AT_ONCE).map(visit))
  }

  async function visit(cellKey: string): Promise<void> {
    try {
      const again = await lookAtOne(cellKey)
      if (again !== undefined) alarms.set(cellKey, again)
    } catch (error) {
      const level = error instanceof Unavailable ? 'warn' : 'error'
      log[level]({ cell: cellKey, error: messageOf(error) }, 'sweep.failed')
      alarms.set(cellKey, clock.now() + FAILED_AGAIN_MS)
    }
  }

  /** Answers when to look again; undefined: when something changes. */
  async function lookAtOne(cellKey: string): Promise<number | undefined> {
    const ref = targets.get(cellKey)
    const entry = ref && mirrors.jobs.get(keys.job(ref))
    // Of another epoch: counted anew first (jobs/plan.ts), and put again.
    if (!ref || !entry || entry.value.epoch !== deps.epoch()) return undefined
    const cell = mirrors.cells.get(cellKey)
    const living = canRun(deps, entry.value, ref.target)
    const decided = decideUnclaimed({
      entry: entry.value,
      ...entryTimes(entry.value),
      cell: cell?.value,
      now: clock.now(),
      living,
      settledAt: settledAt.get(cellKey) ?? 0,
    })
    if (living) parked.delete(cellKey)
    else parked.set(cellKey, ref.pool)
    const on = { ref, entry, cell: cell ?? { key: cellKey, mod: 0, value: undefined } }
    const done = await act(deps, on, decided)
    if (done === 'settled') settledAt.set(cellKey, clock.now())
    return done === 'stale' ? clock.now() + FAILED_AGAIN_MS : decided.at
  }

  function arm(cellKey: string, entry: JobEntry): void {
    const cell = mirrors.cells.get(cellKey)?.value
    const at = lookAt({ entry, ...entryTimes(entry), cell, now: clock.now() })
    if (at === undefined) alarms.clear(cellKey)
    else alarms.set(cellKey, at)
  }

  function drop(cellKey: string): void {
    targets.delete(cellKey)
    settledAt.delete(cellKey)
    parked.delete(cellKey)
    alarms.clear(cellKey)
  }

  function take(jobKey: string, entry: Versioned<JobEntry> | undefined): void {
    const before = byJob.get(jobKey) ?? new Set<string>()
    const now = new Set<string>()
    for (const ref of entry ? refsOf(deps, entry.value) : []) {
      const cellKey = keys.cell(ref)
      targets.set(cellKey, ref)
      now.add(cellKey)
      if (entry) arm(cellKey, entry.value)
    }
    for (const cellKey of before) if (!now.has(cellKey)) drop(cellKey)
    if (now.size > 0) byJob.set(jobKey, now)
    else byJob.delete(jobKey)
  }

  function cellChanged(cellKey: string): void {
    const ref = keys.parseCell(cellKey)
    if (ref?.kind !== 'job') return
    const entry = mirrors.jobs.get(keys.job(ref))
    if (!entry) return
    if (entry.value.command.placement.mode === 'All') takeTarget(cellKey, ref)
    if (targets.has(cellKey)) arm(cellKey, entry.value)
  }

  /** Mode All: what has a cell is a target. */
  function takeTarget(cellKey: string, ref: CellRef): void {
    const cell = mirrors.cells.get(cellKey)?.value
    if (!cell || !isTargetCell(ref, cell)) return drop(cellKey)
    targets.set(cellKey, ref)
    const jobKey = keys.job(ref)
    byJob.set(jobKey, (byJob.get(jobKey) ?? new Set()).add(cellKey))
  }

  /** Somebody came: what lay open for want of anybody is offered soon. */
  function agentsChanged(pool: string | undefined): void {
    for (const [cellKey, its] of parked) if (its === pool) alarms.set(cellKey, clock.now() + OPEN_FOR)
  }

  for (const entry of mirrors.jobs.entries()) take(entry.key, entry)
  mirrors.jobs.onChange((key, now) => take(key, now))
  mirrors.cells.onChange(key => cellChanged(key))
  mirrors.agents.onChange(key => agentsChanged(keys.parseAgent(key)?.pool))
  mirrors.members.onChange(key => agentsChanged(keys.parseMember(key)?.pool))
  mirrors.pools.onChange(key => agentsChanged(keys.parsePool(key)))
  return { close: () => alarms.close() }
}

function isTargetCell(ref: CellRef, cell: { retired?: boolean | undefined }): boolean {
  return ref.target !== WAVE && !cell.retired
}

function refsOf({ mirrors }: Deps, entry: JobEntry): CellRef[] {
  const { pool, namespace, name } = entry
  const { placement } = entry.command
  const ref = (target: string): CellRef => ({ pool, kind: 'job', namespace, name, target })
  if (placement.mode !== 'All') return ownTargets(placement).map(ref)
  return mirrors
    .cellsOf('job', namespace, name)
    .filter(cell => cell.ref.pool === pool && cell.value && isTargetCell(cell.ref, cell.value))
    .map(cell => cell.ref)
}

/** Does an agent live that may take it? */
function canRun({ mirrors, keys }: Deps, entry: JobEntry, target: string): boolean {
  const { pool, command } = entry
  const settings = mirrors.pools.get(keys.pool(pool))?.value
  if (settings?.paused || settings?.draining) return false
  const all = command.placement.mode === 'All'
  const able = (agent: string) => {
    const member = mirrors.members.get(keys.member(pool, agent))?.value
    return (
      member !== undefined &&
      !member.cordoned &&
      isTarget(command.placement, agent, member) &&
      mirrors.sessionOf(pool, agent) !== undefined
    )
  }
  return all ? able(target) : mirrors.membersOf(pool).some(({ agent }) => able(agent))
}

/** `stale`: the world has changed since it was looked at; nothing was settled. */
async function act(
  { keys, clock, batcher, requests, log }: Deps,
  on: { ref: CellRef; entry: Versioned<JobEntry>; cell: MaybeAbsent<Cell> },
  decided: UnclaimedDecision,
): Promise<'settled' | 'stale' | 'nothing'> {
  const { ref, entry } = on
  if (decided.offer !== undefined) {
    const { namespace, name, target } = ref
    const run = scheduledRunId(ref, decided.offer)
    const request = {
      kind: 'offer' as const,
      namespace,
      name,
      target,
      uid: entry.value.uid,
      time: decided.offer,
    }
    const put = await requests.put({ pool: ref.pool, id: offerId(run) }, request)
    if (put === 'put') log.info({ run }, 'sweep.offered')
  }
  if (decided.settle.length === 0 && decided.wait === undefined) return 'nothing'
  if (!guards.settlesUnclaimed()) return 'nothing'
  const wait = decided.wait === undefined ? {} : { wait: { time: decided.wait } }
  const { txn } = settle({ keys, ...on, settle: decided.settle, now: clock.now(), ...wait })
  if (!(await batcher.txn(txn)).ok) return 'stale'
  log.info({ cell: on.cell.key, settled: decided.settle, waiting: decided.wait }, 'sweep.settled')
  return 'settled'
}
