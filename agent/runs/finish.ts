import { cellsOf } from '../../core/fires/attempt-cells.ts'
import { endAgainAfter } from '../../core/fires/wave-timing.ts'
import { type CellRef, WAVE } from '../../core/keys.ts'
import { type Active, activeSchema, type Cell } from '../../core/records/state.ts'
import type { Verdict } from '../../core/runs/outcome.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import type { TxnAnswer } from '../../store/etcd/types.ts'
import { end } from '../../store/protocol/end.ts'
import { type MaybeAbsent, parseVersioned, type Versioned } from '../../store/protocol/versioned.ts'
import type { Context } from '../session/context.ts'
import type { EndFacts } from './end-facts.ts'
import { retryOf } from './retry.ts'

/** Records the end of an attempt in etcd: by its owner, with the launcher's facts, or by burial. Repeats until the attempt is settled. */

export interface Ending {
  verdict: Verdict
  facts?: EndFacts
  /** Burial: the owner, and the create revision of its registration as it was read (0: it has none). */
  burial?: { owner: string; ownerSeen: number }
}

export type Finished = { freed: CellRef[] } & (
  | { kind: 'recorded' }
  /** Recorded, and the next attempt is this agent's. */
  | { kind: 'again'; active: Versioned<Active> }
  /** Another process has ended it: nothing was recorded. */
  | { kind: 'superseded' }
)

/** After no answer, and after a refusal for a reason that this agent's watches have not shown yet, ms. */
const PAUSE_MS = 300
/** After an unexpected fault, ms. */
const FAULT_PAUSE_MS = 5_000

/** Rejects only when the context's signal aborts. */
export async function finishAttempt(
  context: Context,
  mine: Versioned<Active>,
  ending: Ending,
): Promise<Finished> {
  let active = mine
  for (let round = 0; ; round++) {
    context.signal.throwIfAborted()
    try {
      const outcome = await tryToEnd(context, active, { ...ending, round })
      if (outcome.kind !== 'refused') return outcome
      // Its owner has registered again. The watch will show that, and burial starts from the beginning.
      if (ending.burial && !outcome.changed && round > 0) return { kind: 'superseded', freed: [] }
      if (!outcome.changed) await context.clock.sleep(PAUSE_MS, context.signal)
      // The runs of one wave end at about the same time. Their retries are spread, so that each needs a few only.
      else if (outcome.holders > 0)
        await context.clock.sleep(
          endAgainAfter({
            holders: outcome.holders,
            tries: round,
            pace: context.pace.ms,
            chance: Math.random(),
          }),
          context.signal,
        )
      active = outcome.active
    } catch (error) {
      context.signal.throwIfAborted()
      const expected = error instanceof Unavailable
      context.log[expected ? 'warn' : 'error'](
        { run: active.value.run, error: messageOf(error) },
        'finish.unanswered',
      )
      await context.clock.sleep(expected ? PAUSE_MS : FAULT_PAUSE_MS, context.signal)
      const reread = await stillThere(context, active)
      if (reread === 'gone') return { kind: 'superseded', freed: [] }
      if (reread) active = reread
    }
  }
}

/** `changed`: the active entry or a cell differed; both are up to date now. Else a registration, or the entry of a retry, did. */
interface Refused {
  kind: 'refused'
  changed: boolean
  /** How many hold a slot of the wave, if its cell differed. */
  holders: number
  active: Versioned<Active>
}

async function tryToEnd(
  context: Context,
  active: Versioned<Active>,
  ending: Ending & { round: number },
): Promise<Finished | Refused> {
  const { keys, pool, cells: known, clock, log } = context
  const refs = cellsOf(pool, active.value)
  const found = await heldCells(context, refs, active.value.run)
  const cells = found.flatMap(cell => (cell.value ? [{ ...cell, value: cell.value }] : []))
  const absent = found.filter(({ mod }) => mod === 0).map(({ key }) => key)
  const retry = await retryOf(context, active.value, {
    outcome: ending.verdict.outcome,
    avoid: ending.burial?.owner,
    round: ending.round,
  })
  const ended = end({
    keys,
    pool,
    owner: ending.burial?.owner ?? context.agent,
    active,
    cells,
    absent,
    verdict: ending.verdict,
    now: clock.now(),
    ...(ending.facts ? { facts: ending.facts } : {}),
    ...(ending.burial ? { ownerSeen: ending.burial.ownerSeen } : {}),
    ...(retry ? { retry } : {}),
  })
  const answer = await context.batcher.txn(ended.txn)
  if (!answer.ok) return refused(context, active, { answer, cells })
  for (const cell of ended.cells) known.putWritten(cell.key, answer.revision, cell.value)
  log.info(
    {
      run: active.value.run,
      attempt: active.value.attempt,
      outcome: ending.verdict.outcome,
      reason: ending.verdict.reason,
    },
    'run.ended',
  )
  const { again } = ended
  if (again && retry?.next?.agent === context.agent) {
    const key = keys.active(pool, context.agent, again.run)
    return { kind: 'again', freed: refs, active: { key, mod: answer.revision, value: again } }
  }
  return { kind: 'recorded', freed: refs }
}

function refused(
  context: Context,
  active: Versioned<Active>,
  { answer, cells }: { answer: TxnAnswer; cells: Versioned<Cell>[] },
): Finished | Refused {
  const [activeNow, ...cellsNow] = answer.gets
  const moved = cells.map((cell, i) => context.cells.putRead(cell.key, cellsNow[i]).mod !== cell.mod)
  const now = parseVersioned(activeSchema, active.key, activeNow)
  const same = now.value?.attempt === active.value.attempt && now.value.session === active.value.session
  if (!now.value || !same) {
    context.log.warn({ run: active.value.run, attempt: active.value.attempt }, 'run.superseded')
    return { kind: 'superseded', freed: [] }
  }
  const changed = now.mod !== active.mod || moved.includes(true)
  const wave = cells.findIndex(({ key }) => context.keys.parseCell(key)?.target === WAVE)
  const holders = moved[wave] ? (cells[wave]?.value.active.length ?? 0) : 0
  return { kind: 'refused', changed, holders, active: { ...now, value: now.value } }
}

/** After an ambiguous answer: whether the attempt still has to be ended. */
async function stillThere(
  context: Context,
  active: Versioned<Active>,
): Promise<Versioned<Active> | 'gone' | undefined> {
  try {
    const now = parseVersioned(activeSchema, active.key, await context.etcd.get(active.key, context.signal))
    const { value } = now
    for (const ref of cellsOf(context.pool, active.value)) context.cells.forget(context.keys.cell(ref))
    return value?.attempt === active.value.attempt && value.session === active.value.session
      ? { ...now, value }
      : 'gone'
  } catch (error) {
    if (error instanceof Unavailable) return undefined
    throw error
  }
}

/** A remembered cell will do if it counts the run. If not, it is from before the claim, and is read. */
async function heldCells(
  { cells, keys }: Context,
  refs: CellRef[],
  run: string,
): Promise<MaybeAbsent<Cell>[]> {
  return Promise.all(
    refs.map(keys.cell).map(async key => {
      const known = cells.get(key)
      return known?.value?.active.some(active => active.run === run) ? known : cells.read(key)
    }),
  )
}
