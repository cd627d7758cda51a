import type { CellRef } from '../../core/keys.ts'
import type { RunEntry } from '../../core/records/entry.ts'
import { Stale } from '../../platform/work-queue.ts'
import type { Txn } from '../../store/etcd/types.ts'
import { guards } from '../../store/protocol/model-guards.ts'
import { putKnown } from '../../store/protocol/operator-writes.ts'
import { settle } from '../../store/protocol/settle.ts'
import { runRequestId, runRequestsOf } from '../agent-requests.ts'
import type { Context } from '../context.ts'
import { killAttempt } from '../end-attempt.ts'
import type { RunStep } from './plan.ts'

type Deps = Pick<Context, 'etcd' | 'keys' | 'clock' | 'log' | 'identity' | 'requests' | 'writes'>

/** Applies the steps of one stage, in order. Throws Stale if the state has changed since it was observed. */
export async function applyPlan(deps: Deps, steps: readonly RunStep[], signal: AbortSignal): Promise<void> {
  for (const step of steps) {
    signal.throwIfAborted()
    if (step.do === 'request') await request(deps, step)
    else if (step.do === 'kill') await kill(deps, step)
    else {
      const answer = await deps.etcd.txn(txnOf(deps, step), signal)
      if (!answer.ok) {
        if (step.do === 'put') deps.writes.refused(deps.keys.run(step.entry))
        if (step.do === 'remove') deps.writes.refused(step.stored.key)
        throw new Stale('the ShellRun has changed since it was read')
      }
      if (step.do === 'miss')
        deps.log.info({ run: step.stored.key, target: step.open.target, reason: step.reason }, 'run.missed')
    }
  }
}

function txnOf(
  { keys, clock, identity, writes }: Deps,
  step: Exclude<RunStep, { do: 'request' } | { do: 'kill' }>,
): Txn {
  switch (step.do) {
    case 'put': {
      const key = keys.run(step.entry)
      return putKnown(key, step.mod, identity.sign(JSON.stringify(writes.numbered(key, step.entry))))
    }
    case 'remove': {
      const { key, mod } = step.stored
      const ref = keys.parseRun(key)
      if (!ref) throw new Error(`not a ShellRun's key: ${key}`)
      writes.expect(key, undefined)
      return {
        compare: guards.operatorKnows(key, mod),
        then: [
          { delete: key },
          { delete: keys.cellsOf({ ...ref, kind: 'run' }), prefix: true },
          { delete: keys.request(ref.pool, runRequestsOf(ref)), prefix: true },
        ],
      }
    }
    case 'miss': {
      const { target, cell } = step.open
      const ref = cellRef(step.stored.value, target)
      const { createdAt: time } = step.stored.value
      const { txn } = settle({
        keys,
        ref,
        entry: step.stored,
        cell: cell ?? { key: keys.cell(ref), mod: 0, value: undefined },
        settle: [{ first: time, last: time, count: 1, outcome: 'Missed', reason: step.reason }],
        now: clock.now(),
      })
      return { ...txn, then: [...txn.then, { delete: keys.request(ref.pool, runRequestId(ref)) }] }
    }
    case 'forget': {
      const key = keys.cell(step.cell.ref)
      return { compare: guards.cellUnchanged(key, step.cell.mod), then: [{ delete: key }] }
    }
    default:
      return step satisfies never
  }
}

/** Puts the request only if it does not exist and the cell is unchanged, so that a claimed target is never requested again. */
async function request(
  { requests, keys }: Deps,
  { entry, target, mod }: Extract<RunStep, { do: 'request' }>,
): Promise<void> {
  const { pool, namespace, name, uid } = entry
  await requests.put(
    {
      pool,
      id: runRequestId({ namespace, name, target }),
      cell: { key: keys.cell(cellRef(entry, target)), mod },
    },
    { kind: 'run', namespace, name, target, uid },
  )
}

async function kill(deps: Deps, { cell, reason }: Extract<RunStep, { do: 'kill' }>): Promise<void> {
  for (const { run, agent } of cell.value?.active ?? [])
    await killAttempt(deps, { pool: cell.ref.pool, owner: agent, run }, reason)
}

function cellRef({ pool, namespace, name }: RunEntry, target: string): CellRef {
  return { pool, kind: 'run', namespace, name, target }
}
