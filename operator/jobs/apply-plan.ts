import { isNamed, isShellRunId } from '../../core/keys.ts'
import { Stale } from '../../platform/work-queue.ts'
import type { Context } from '../context.ts'
import { killAttempt } from '../end-attempt.ts'
import type { Step } from './job-state.ts'
import { forgetWrites, planToTxn } from './plan-to-txn.ts'

type Deps = Pick<Context, 'etcd' | 'keys' | 'clock' | 'log' | 'identity' | 'writes'>

const BATCHED: readonly Step['do'][] = ['settle', 'cell', 'forget']

/** Applies the steps of one stage. Throws Stale if the state has changed since it was observed. */
export async function applyPlan(deps: Deps, steps: readonly Step[], signal: AbortSignal): Promise<void> {
  const { etcd, keys, clock, identity, writes } = deps
  const writer = { keys, clock, sign: identity.sign, writes }
  const batched = steps.flatMap(step =>
    BATCHED.includes(step.do) && step.do !== 'kill' ? [planToTxn(step, writer)] : [],
  )
  if (batched.length > 0) {
    for (const answer of await etcd.batch(batched, signal)) {
      if ('ambiguous' in answer) throw answer.ambiguous
      if (!answer.ok) throw new Stale('a cell or the entry has changed since it was read')
    }
  }
  for (const step of steps) {
    signal.throwIfAborted()
    if (step.do === 'kill') await kill(deps, step)
    else if (!BATCHED.includes(step.do)) {
      const answer = await etcd.txn(planToTxn(step, writer), signal)
      if (!answer.ok) {
        forgetWrites(step, deps)
        throw new Stale('the entry has changed since it was read')
      }
      logStep(deps, step)
    }
  }
}

async function kill(deps: Deps, step: Extract<Step, { do: 'kill' }>): Promise<void> {
  const { cell, reason, run: only } = step
  for (const { run, agent } of cell.value?.active ?? []) {
    if (only ? !isNamed(run, only) : isShellRunId(run)) continue
    await killAttempt(deps, { pool: cell.ref.pool, owner: agent, run }, reason)
  }
}

function logStep({ log }: Deps, step: Step): void {
  if (step.do === 'put' || step.do === 'move') {
    const { namespace, name, pool, generation, suspended, editing, blocked } = step.entry
    log.info(
      { job: `${namespace}/${name}`, pool, generation, suspended, editing, blocked: blocked?.reason },
      step.do === 'put' ? 'job.put' : 'job.moved',
    )
  } else if (step.do === 'remove') log.info({ key: step.stored.key }, 'job.removed')
}
