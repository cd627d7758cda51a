import type { Keys } from '../../core/keys.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Txn } from '../../store/etcd/types.ts'
import { guards } from '../../store/protocol/model-guards.ts'
import { putKnown } from '../../store/protocol/operator-writes.ts'
import { settle } from '../../store/protocol/settle.ts'
import { offersOf } from '../agent-requests.ts'
import type { Step } from './job-state.ts'

interface Writer {
  keys: Keys
  clock: Clock
  sign(text: string): string
}

/** The transaction of a step. It compares everything that the step was planned on. For kills see ../end-attempt.ts. */
export function planToTxn(step: Exclude<Step, { do: 'kill' }>, { keys, clock, sign }: Writer): Txn {
  const entryText = (entry: object) => sign(JSON.stringify(entry))
  switch (step.do) {
    case 'put':
      return putKnown(keys.job({ ...step.entry, pool: step.pool }), step.mod, entryText(step.entry))
    case 'move': {
      const { from, entry } = step
      const cells = keys.cellsOf({ ...entry, kind: 'job', pool: from.pool })
      return {
        compare: [...guards.operatorKnows(from.key, from.mod), ...guards.operatorKnows(keys.job(entry), 0)],
        then: [
          { put: keys.job(entry), value: entryText(entry) },
          { delete: from.key },
          { delete: cells, prefix: true },
          { delete: keys.request(from.pool, offersOf(entry)), prefix: true },
        ],
      }
    }
    case 'remove': {
      const ref = keys.parseJob(step.stored.key)
      if (!ref) throw new Error(`not a job's key: ${step.stored.key}`)
      return {
        compare: guards.operatorKnows(step.stored.key, step.stored.mod),
        then: [
          { delete: step.stored.key },
          { delete: keys.cellsOf({ ...ref, kind: 'job' }), prefix: true },
          { delete: keys.request(ref.pool, offersOf(ref)), prefix: true },
        ],
      }
    }
    case 'settle': {
      const { entry, cell } = step
      const at = { ...cell, key: keys.cell(cell.ref) }
      return settle({ keys, ref: cell.ref, entry, cell: at, settle: step.settle, now: clock.now() }).txn
    }
    case 'cell': {
      const key = keys.cell(step.cell.ref)
      return {
        compare: [
          ...guards.entryUnchanged(step.under.key, step.under.mod),
          ...guards.cellUnchanged(key, step.cell.mod),
        ],
        then: [{ put: key, value: JSON.stringify(step.value) }],
      }
    }
    case 'forget': {
      const key = keys.cell(step.cell.ref)
      return { compare: guards.cellUnchanged(key, step.cell.mod), then: [{ delete: key }] }
    }
    default:
      return step satisfies never
  }
}
