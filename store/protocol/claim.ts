import type { Settlement } from '../../core/fires/settlement.ts'
import { holding } from '../../core/fires/wave.ts'
import type { CellRef, Keys } from '../../core/keys.ts'
import type { Entry } from '../../core/records/entry.ts'
import type { Active, Cell } from '../../core/records/state.ts'
import type { Compare, Op, Txn } from '../etcd/types.ts'
import { buryAfter } from './bury-after.ts'
import { guards } from './model-guards.ts'
import { moveFrontier } from './move-frontier.ts'
import { putSettlements } from './outbox.ts'
import type { MaybeAbsent, Versioned } from './versioned.ts'

/**
 * Claims a fire, in one transaction:
 *
 *   entry unchanged ∧ cell unchanged ∧ the agent's registration is of this session
 *     (∧ ShellRun: its request unchanged, its job's cell unchanged) (∧ maxParallel: the wave unchanged, its limit unchanged)
 *     → put the cell (frontier moved, run active), put the active entry (, delete the request, put the job's cell)
 *       (, put the wave with one more slot taken)
 *   else read the cell
 */
export interface Claim {
  keys: Keys
  ref: CellRef
  agent: string
  session: number
  entry: Versioned<Entry>
  cell: MaybeAbsent<Cell>
  run: string
  time: number
  notBefore: number
  instance: string
  /** Times that the frontier moves over without running them. */
  settle: readonly Settlement[]
  now: number
  /** A ShellRun's request: the claim deletes it. */
  request?: { key: string; mod: number }
  /** A ShellRun with jobRef is active in its job's cell too. */
  jobCell?: MaybeAbsent<Cell>
  jobName?: string
  /** maxParallel: the wave's cell, seen with a free slot. `under`: the entry with the limit, if it is not the run's own. */
  wave?: { cell: MaybeAbsent<Cell>; under?: { key: string; mod: number } }
}

export interface Claimed {
  txn: Txn
  cell: Cell
  active: Active
}

export function claim(c: Claim): Claimed {
  const running = { run: c.run, agent: c.agent, attempt: 1 }
  const cell = moveFrontier(c.cell.value, c)
  cell.active.push(running)
  const active = activeOf(c)
  return {
    cell,
    active,
    txn: { compare: comparisons(c), then: writes(c, { cell, active, running }), else: reads(c) },
  }
}

function comparisons({ keys, ref, agent, session, entry, cell, request, jobCell, wave }: Claim): Compare[] {
  return [
    ...guards.entryUnchanged(entry.key, entry.mod),
    ...guards.cellUnchanged(cell.key, cell.mod),
    ...guards.sessionLives(keys.agent(ref.pool, agent), session),
    ...(request ? [{ key: request.key, mod: request.mod }] : []),
    ...(jobCell ? guards.cellUnchanged(jobCell.key, jobCell.mod) : []),
    ...(wave ? guards.waveUnchanged(wave.cell.key, wave.cell.mod) : []),
    ...(wave?.under ? guards.limitUnchanged(wave.under.key, wave.under.mod) : []),
  ]
}

function writes(
  c: Claim,
  { cell, active, running }: { cell: Cell; active: Active; running: Cell['active'][number] },
): Op[] {
  const { keys, ref, entry, wave } = c
  const jobCell = c.jobCell && withRun(c, c.jobCell, running)
  return [
    { put: c.cell.key, value: JSON.stringify(cell) },
    { put: keys.active(ref.pool, c.agent, c.run), value: JSON.stringify(active) },
    ...putSettlements(keys, ref, entry.value, guards.recordPassedOver(c.settle), c.now),
    ...(c.request ? [{ delete: c.request.key }] : []),
    ...(jobCell ? [{ put: jobCell.key, value: JSON.stringify(jobCell.value) }] : []),
    ...(wave ? [putHolder(wave.cell, c)] : []),
  ]
}

function reads({ cell, wave, jobCell }: Claim): { get: string }[] {
  return [cell, ...(wave ? [wave.cell] : []), ...(jobCell ? [jobCell] : [])].map(({ key }) => ({ get: key }))
}

function putHolder(wave: MaybeAbsent<Cell>, { entry: { value: entry }, agent, run }: Claim): Op {
  const uid = (entry.kind === 'run' ? entry.jobRef?.uid : undefined) ?? entry.uid
  return { put: wave.key, value: JSON.stringify(holding(wave.value, { uid, agent, run, attempt: 1 })) }
}

function activeOf(c: Claim): Active {
  return {
    run: c.run,
    kind: c.ref.kind,
    uid: c.entry.value.uid,
    generation: c.entry.value.generation,
    namespace: c.ref.namespace,
    name: c.ref.name,
    target: c.ref.target,
    time: c.time,
    notBefore: c.notBefore,
    attempt: 1,
    session: c.session,
    instance: c.instance,
    ...buryAfter(c.entry.value, c.notBefore, c.now),
    ...(c.cell.value?.waiting?.time === c.time ? { waited: true } : {}),
    ...(c.jobName ? { jobName: c.jobName } : {}),
    ...(c.wave ? { wave: true } : {}),
  }
}

/**
 * The job's cell with the ShellRun active in it. A job that never fired has no cell yet: it is created here, so that the job's next fire
 * sees the active ShellRun. With All, times before now are settled: the agent was no target of the job then.
 */
function withRun(c: Claim, cell: MaybeAbsent<Cell>, running: Cell['active'][number]): Versioned<Cell> {
  const { value: entry } = c.entry
  const uid = entry.kind === 'run' ? (entry.jobRef?.uid ?? '') : ''
  const lastFire = entry.command.placement.mode === 'All' ? c.now : 0
  const before = cell.value ?? { uid, lastFire, active: [] }
  return { ...cell, value: { ...before, active: [...before.active, running] } }
}
