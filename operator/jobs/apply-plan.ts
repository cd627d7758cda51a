import { isNamed, isShellRunId } from '../../core/keys.ts'
import { Stale } from '../../platform/work-queue.ts'
import type { Context } from '../context.ts'
import { killAttempt } from '../end-attempt.ts'
import type { Step } from './job-world.ts'
import { planToTxn } from './plan-to-txn.ts'

type Deps = Pick<Context, 'etcd' | 'keys' | 'clock' | 'log' | 'identity'>

const BATCHED: readonly Step['do'][] = ['settle', 'cell', 'forget']

/** Does the steps of one stage. Throws Stale when the world has changed since it was observed; it is then observed again. */
export async function applyPlan(deps: Deps, steps: readonly Step[], signal: AbortSignal): Promise<void> {
  const { etcd, keys, clock, identity } = deps
  const writing = { keys, clock, sign: identity.sign }
  const many = steps.flatMap(step =>
    BATCHED.includes(step.do) && step.do !== 'kill' ? [planToTxn(step, writing)] : [],
  )
  if (many.length > 0) {
    for (const answer of await etcd.batch(many, signal)) {
      if ('ambiguous' in answer) throw answer.ambiguous
      if (!answer.ok) throw new Stale('a cell or the entry changed meanwhile')
    }
  }
  for (const step of steps) {
    signal.throwIfAborted()
    if (step.do === 'kill') await kill(deps, step)
    else if (!BATCHED.includes(step.do)) {
      const answer = await etcd.txn(planToTxn(step, writing), signal)
      if (!answer.ok) throw new Stale('the entry changed meanwhile')
      tell(deps, step)
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

function tell({ log }: Deps, step: Step): void {
  if (step.do === 'put' || step.do === 'move') {
    const { namespace, name, pool, generation, suspended, editing, blocked } = step.entry
    log.info(
      { job: `${namespace}/${name}`, pool, generation, suspended, editing, blocked: blocked?.reason },
      step.do === 'put' ? 'job.put' : 'job.moved',
    )
  } else if (step.do === 'remove') log.info({ key: step.stored.key }, 'job.removed')
}
