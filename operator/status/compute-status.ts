import { createInterner } from '../../core/interner.ts'
import type { Condition } from '../../core/schema/status.ts'
import { agentStatus } from '../../core/status/agent-status.ts'
import { jobStatus } from '../../core/status/job-status.ts'
import { NO_AGENT_MATCHES } from '../../core/status/no-agent-matches.ts'
import { readyStatus } from '../../core/status/ready-status.ts'
import { runStatus } from '../../core/status/run-status.ts'
import type { PreviousCondition } from '../../core/status/transition-times.ts'
import { identify } from '../compile/identify.ts'
import type { ObjectName } from '../object-name.ts'
import type { ObjectRef } from '../resources/port.ts'
import { agentFacts, type Deps, jobFacts, runFacts } from './gather-facts.ts'
import type { StatusOf } from './write-budget.ts'

/** Computes an object's present status. undefined: the object has none, or has not been compiled yet. */
export function createStatusReader(deps: Deps): (ref: ObjectRef) => Promise<StatusOf | undefined> {
  /** The last conditions of each object, so that an unchanged condition keeps its transition time. */
  const last = new Map<string, { uid: string; conditions: Seen[] }>()
  const intern = createInterner()

  return async ref => {
    const key = `${ref.kind}/${ref.namespace}/${ref.name}`
    const previous = last.get(key)
    const computed = await statusOf(deps, ref, uid =>
      previous?.uid === uid ? previous.conditions : undefined,
    )
    if (!computed) {
      last.delete(key)
      return undefined
    }
    const conditions = computed.status.conditions ?? []
    const { uid } = computed
    const known = previous?.uid === uid ? previous.conditions : []
    const lost = conditions.find(({ reason }) => reason === NO_AGENT_MATCHES)
    if (lost && known.find(({ type }) => type === lost.type)?.reason !== lost.reason)
      deps.resources.event(ref, uid, { type: 'Warning', reason: lost.reason, message: lost.message })
    last.set(key, { uid, conditions: intern(conditions.map(one => intern(brief(one)))) })
    return computed
  }
}

type Seen = PreviousCondition & { reason: string }

function brief({ type, status, lastTransitionTime, reason }: Condition): Seen {
  return { type, status, lastTransitionTime, reason }
}

type Computed = { uid: string; status: { conditions?: Condition[] | undefined } } | undefined
type PreviousOf = (uid: string) => PreviousCondition[] | undefined

async function statusOf(deps: Deps, { kind, ...of }: ObjectRef, previousOf: PreviousOf): Promise<Computed> {
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

async function ofJob(deps: Deps, { namespace, name }: ObjectName, previousOf: PreviousOf): Promise<Computed> {
  const job = deps.resources.get('ShellCronJob', namespace, name)
  const facts = job && (await jobFacts(deps, job))
  return facts && { uid: facts.uid, status: jobStatus({ ...facts, previous: previousOf(facts.uid) }) }
}

async function ofRun(deps: Deps, { namespace, name }: ObjectName, previousOf: PreviousOf): Promise<Computed> {
  const run = deps.resources.get('ShellRun', namespace, name)
  const facts = run && (await runFacts(deps, run))
  return facts && { uid: facts.uid, status: runStatus({ ...facts, previous: previousOf(facts.uid) }) }
}

function ofAgent(deps: Deps, { name }: ObjectName, previousOf: PreviousOf): Computed {
  const agent = deps.resources.get('ShellAgent', '', name)
  const facts = agent && agentFacts(deps, agent)
  return facts && { uid: facts.uid, status: agentStatus({ ...facts, previous: previousOf(facts.uid) }) }
}

function ofPlain(
  { resources, clock }: Deps,
  { kind, name }: ObjectName & { kind: 'ShellPolicy' | 'ShellPool' },
  previousOf: PreviousOf,
): Computed {
  const object = resources.get(kind, '', name)
  if (!object) return undefined
  const { uid, createdAt: created, generation } = identify(object.metadata)
  const previous = previousOf(uid)
  return { uid, status: readyStatus({ now: clock.now(), created, generation, previous }) }
}
