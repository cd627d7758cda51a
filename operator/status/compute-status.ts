import type { Condition } from '../../core/schema/status.ts'
import { agentStatus } from '../../core/status/agent-status.ts'
import { jobStatus } from '../../core/status/job-status.ts'
import { readyStatus } from '../../core/status/ready-status.ts'
import { runStatus } from '../../core/status/run-status.ts'
import type { PreviousCondition } from '../../core/status/transition-times.ts'
import { identify } from '../compile/identify.ts'
import type { ObjectRef } from '../resources/port.ts'
import { agentFacts, type Deps, jobFacts, runFacts } from './gather-facts.ts'
import type { StatusOf } from './write-budget.ts'

/** Says what an object's status is now; undefined: there is none to tell of, or the compiler has yet to judge it. */
export function createStatusReader(deps: Deps): (ref: ObjectRef) => Promise<StatusOf | undefined> {
  /** What was said last of each object, by uid: a condition's transition is not to be taken for new. */
  const said = new Map<string, { uid: string; conditions: PreviousCondition[] }>()

  return async ref => {
    const key = `${ref.kind}/${ref.namespace}/${ref.name}`
    const last = said.get(key)
    const found = await statusOf(deps, ref, uid => (last?.uid === uid ? last.conditions : undefined))
    if (!found) {
      said.delete(key)
      return undefined
    }
    said.set(key, { uid: found.uid, conditions: (found.status.conditions ?? []).map(brief) })
    return found
  }
}

function brief({ type, status, lastTransitionTime }: Condition): PreviousCondition {
  return { type, status, lastTransitionTime }
}

type Spoken = { uid: string; status: { conditions?: Condition[] | undefined } } | undefined
type PreviousOf = (uid: string) => PreviousCondition[] | undefined
type Name = Pick<ObjectRef, 'namespace' | 'name'>

async function statusOf(deps: Deps, { kind, ...of }: ObjectRef, previousOf: PreviousOf): Promise<Spoken> {
  switch (kind) {
    case 'ShellCronJob':
      return ofJob(deps, of, previousOf)
    case 'ShellRun':
      return ofRun(deps, of, previousOf)
    case 'ShellAgent':
      return ofAgent(deps, of, previousOf)
    case 'ShellPolicy':
    case 'ShellPool':
      return ofPlain(deps, { kind, ...of }, previousOf)
    case 'Node':
    case 'Secret':
    case 'ConfigMap':
      return undefined
    default:
      return kind satisfies never
  }
}

async function ofJob(deps: Deps, { namespace, name }: Name, previousOf: PreviousOf): Promise<Spoken> {
  const job = deps.resources.get('ShellCronJob', namespace, name)
  const facts = job && (await jobFacts(deps, job))
  return facts && { uid: facts.uid, status: jobStatus({ ...facts, previous: previousOf(facts.uid) }) }
}

async function ofRun(deps: Deps, { namespace, name }: Name, previousOf: PreviousOf): Promise<Spoken> {
  const run = deps.resources.get('ShellRun', namespace, name)
  const facts = run && (await runFacts(deps, run))
  return facts && { uid: facts.uid, status: runStatus({ ...facts, previous: previousOf(facts.uid) }) }
}

function ofAgent(deps: Deps, { name }: Name, previousOf: PreviousOf): Spoken {
  const agent = deps.resources.get('ShellAgent', '', name)
  const facts = agent && agentFacts(deps, agent)
  return facts && { uid: facts.uid, status: agentStatus({ ...facts, previous: previousOf(facts.uid) }) }
}

function ofPlain(
  { resources, clock }: Deps,
  { kind, name }: Name & { kind: 'ShellPolicy' | 'ShellPool' },
  previousOf: PreviousOf,
): Spoken {
  const object = resources.get(kind, '', name)
  if (!object) return undefined
  const { uid, createdAt: created, generation } = identify(object.metadata)
  const previous = previousOf(uid)
  return { uid, status: readyStatus({ now: clock.now(), created, generation, previous }) }
}
