import type { Keys } from '../../core/keys.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Txn } from '../../store/etcd/types.ts'
import { guards } from '../../store/protocol/model-guards.ts'
import { putKnown } from '../../store/protocol/operator-writes.ts'
import { settle } from '../../store/protocol/settle.ts'
import { offersOf } from '../agent-requests.ts'
import type { OwnWrites } from '../own-writes.ts'
import type { Step } from './job-state.ts'

interface Writer {
  keys: Keys
  clock: Clock
  sign(text: string): string
  writes: OwnWrites
}

/** The transaction of a step. It compares everything that the step was planned on. For kills see ../end-attempt.ts. */
export function planToTxn(step: Exclude<Step, { do: 'kill' }>, writer: Writer): Txn {
  const { keys, clock } = writer
  switch (step.do) {
    case 'put': {
      const { entry, pool, mod } = step
      const key = keys.job({ ...entry, pool })
      return putKnown(key, mod, entryText(writer, { key, entry }))
    }
    case 'move':
      return moveTxn(step, writer)
    case 'remove':
      return removeTxn(step, writer)
    case 'settle': {
      const { entry, cell } = step
      const at = { ...cell, key: keys.cell(cell.ref) }
      return settle({ keys, ref: cell.ref, entry, cell: at, settle: step.settle, now: clock.now() }).txn
    }
    case 'cell':
      return cellTxn(step, writer)
    case 'forget': {
      const key = keys.cell(step.cell.ref)
      return { compare: guards.cellUnchanged(key, step.cell.mod), then: [{ delete: key }] }
    }
    default:
      return step satisfies never
  }
}

function entryText(
  { sign, writes }: Writer,
  { key, entry }: { key: string; entry: Extract<Step, { do: 'put' }>['entry'] },
): string {
  return sign(JSON.stringify(writes.numbered(key, entry)))
}

/** etcd refused the transaction of this step: its writes are not expected any more. */
export function forgetWrites(step: Step, { keys, writes }: Pick<Writer, 'keys' | 'writes'>): void {
  if (step.do === 'put') writes.refused(keys.job({ ...step.entry, pool: step.pool }))
  if (step.do === 'move') writes.refused(keys.job(step.entry))
  if (step.do === 'move') writes.refused(step.from.key)
  if (step.do === 'remove') writes.refused(step.stored.key)
}

function moveTxn({ from, entry }: Extract<Step, { do: 'move' }>, writer: Writer): Txn {
  const { keys } = writer
  writer.writes.expect(from.key, undefined)
  const cells = keys.cellsOf({ ...entry, kind: 'job', pool: from.pool })
  return {
    compare: [...guards.operatorKnows(from.key, from.mod), ...guards.operatorKnows(keys.job(entry), 0)],
    then: [
      { put: keys.job(entry), value: entryText(writer, { key: keys.job(entry), entry }) },
      { delete: from.key },
      { delete: cells, prefix: true },
      { delete: keys.request(from.pool, offersOf(entry)), prefix: true },
    ],
  }
}

function removeTxn({ stored }: Extract<Step, { do: 'remove' }>, { keys, writes }: Writer): Txn {
  const ref = keys.parseJob(stored.key)
  if (!ref) throw new Error(`not a job's key: ${stored.key}`)
  writes.expect(stored.key, undefined)
  return {
    compare: guards.operatorKnows(stored.key, stored.mod),
    then: [
      { delete: stored.key },
      { delete: keys.cellsOf({ ...ref, kind: 'job' }), prefix: true },
      { delete: keys.request(ref.pool, offersOf(ref)), prefix: true },
    ],
  }
}

function cellTxn({ under, cell, value }: Extract<Step, { do: 'cell' }>, { keys }: Writer): Txn {
  const key = keys.cell(cell.ref)
  return {
    compare: [...guards.entryUnchanged(under.key, under.mod), ...guards.cellUnchanged(key, cell.mod)],
    then: [{ put: key, value: JSON.stringify(value) }],
  }
}
