import type { Settlement } from '../../core/fires/settlement.ts'
import { holding } from '../../core/fires/wave.ts'
import type { CellRef, Keys } from '../../core/keys.ts'
import type { Entry } from '../../core/records/entry.ts'
import type { Active, Cell } from '../../core/records/state.ts'
import type { Op, Txn } from '../etcd/types.ts'
import { guards } from './model-guards.ts'
import { putSettlements } from './outbox.ts'
import type { MaybeAbsent, Versioned } from './versioned.ts'

/**
 * Taking a fire, one transaction:
 *
 *   entry unchanged ∧ cell unchanged ∧ my registration is of this session (∧ the request unchanged) (∧ the wave unchanged)
 *     → put the cell (frontier, active + run), put my active entry (, delete the request) (, put the wave with one place more taken)
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
  /** What the frontier passes over. */
  settle: readonly Settlement[]
  now: number
  /** A ShellRun's request, gone with the claim. */
  request?: { key: string; mod: number }
  /** A ShellRun with jobRef counts in its job's cell too. */
  jobCell?: MaybeAbsent<Cell>
  jobName?: string
  /** maxParallel: the cell of the wave, seen with a free place; and the entry beside its own that says how many there are. */
  wave?: { cell: MaybeAbsent<Cell>; under?: { key: string; mod: number } }
}

export interface Claimed {
  txn: Txn
  cell: Cell
  active: Active
}

export function claim(c: Claim): Claimed {
  const { keys, ref, entry, wave } = c
  const running = { run: c.run, agent: c.agent, attempt: 1 }
  const cell = moveFrontier(c.cell.value, c)
  cell.active.push(running)
  const active = activeOf(c)
  const agentKey = keys.agent(ref.pool, c.agent)
  const jobCell = c.jobCell && withRun(c, c.jobCell, running)
  return {
    cell,
    active,
    txn: {
      compare: [
        ...guards.entryUnchanged(entry.key, entry.mod),
        ...guards.cellUnchanged(c.cell.key, c.cell.mod),
        ...guards.sessionLives(agentKey, c.session),
        ...(c.request ? [{ key: c.request.key, mod: c.request.mod }] : []),
        ...(c.jobCell ? guards.cellUnchanged(c.jobCell.key, c.jobCell.mod) : []),
        ...(wave ? guards.waveUnchanged(wave.cell.key, wave.cell.mod) : []),
        ...(wave?.under ? guards.limitUnchanged(wave.under.key, wave.under.mod) : []),
      ],
      then: [
        { put: c.cell.key, value: JSON.stringify(cell) },
        { put: keys.active(ref.pool, c.agent, c.run), value: JSON.stringify(active) },
        ...putSettlements(keys, ref, entry.value, guards.recordPassedOver(c.settle), c.now),
        ...(c.request ? [{ delete: c.request.key }] : []),
        ...(jobCell ? [{ put: jobCell.key, value: JSON.stringify(jobCell.value) }] : []),
        ...(wave ? [putHolder(wave.cell, c)] : []),
      ],
      else: [c.cell, ...(wave ? [wave.cell] : []), ...(c.jobCell ? [c.jobCell] : [])].map(({ key }) => ({
        get: key,
      })),
    },
  }
}

function putHolder(wave: MaybeAbsent<Cell>, { entry: { value: entry }, agent, run }: Claim): Op {
  const uid = (entry.kind === 'run' ? entry.jobRef?.uid : undefined) ?? entry.uid
  return { put: wave.key, value: JSON.stringify(holding(wave.value, { uid, agent, run, attempt: 1 })) }
}

/** A launcher that starts a crowd is late by some seconds, and machines' clocks differ. */
const LATE_START_MS = 10_000

/** onDisconnect Continue: a run that is to start at `from`, or at once if that is past, has ended by then, whatever became of its agent. */
export function buryAfter({ command }: Entry, from: number, now: number): Pick<Active, 'buryAfter'> {
  const { onDisconnect, activeDeadlineSeconds, terminationGracePeriodSeconds } = command
  if (onDisconnect !== 'Continue' || activeDeadlineSeconds === undefined) return {}
  const longest = (activeDeadlineSeconds + terminationGracePeriodSeconds) * 1_000
  return { buryAfter: Math.max(from, now) + LATE_START_MS + longest }
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
    ...(c.jobName ? { jobName: c.jobName } : {}),
    ...(c.wave ? { wave: true } : {}),
  }
}

/** The cell after its frontier passed `settle` and, if there is one, `time`; what waited is over when it is one of them. */
export function moveFrontier(
  cell: Cell | undefined,
  by: { entry: Versioned<Entry>; time?: number; settle: readonly Settlement[] },
): Cell {
  const { time } = by
  const passed = by.settle.map(({ last }) => last)
  const waiting = cell?.waiting
  const over =
    waiting &&
    (waiting.time === time || by.settle.some(s => s.first <= waiting.time && waiting.time <= s.last))
  return {
    uid: by.entry.value.uid,
    lastFire: Math.max(cell?.lastFire ?? 0, time ?? 0, ...passed),
    active: [...(cell?.active ?? [])],
    ...(waiting && !over ? { waiting } : {}),
    ...(cell?.retired ? { retired: true } : {}),
    ...(by.entry.value.kind === 'run' ? { taken: true } : {}),
  }
}

/**
 * A job that has never fired has no cell yet: made here, so that its next time sees the ShellRun that is active. In All it is the
 * operator's to make, when the agent becomes a target: what was due before now was never this target's.
 */
function withRun(c: Claim, cell: MaybeAbsent<Cell>, running: Cell['active'][number]): Versioned<Cell> {
  const { value: entry } = c.entry
  const uid = entry.kind === 'run' ? (entry.jobRef?.uid ?? '') : ''
  const lastFire = entry.command.placement.mode === 'All' ? c.now : 0
  const before = cell.value ?? { uid, lastFire, active: [] }
  return { ...cell, value: { ...before, active: [...before.active, running] } }
}
