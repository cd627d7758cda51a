import { rfc3339Seconds } from '../rfc3339.ts'
import type { Condition } from '../schema/status.ts'
import { head } from './size-limit.ts'

/** A condition's message may weigh so much, bytes of JSON: all of an object's leave room for its runs. */
const LONGEST_MESSAGE = 768

export interface ConditionFact {
  type: string
  status: Condition['status']
  /** PascalCase. */
  reason: string
  message: string
  /**
   * Since when it has had this status, ms since the epoch, from facts that outlive the operator: nobody reads back what was said before.
   */
  since: number
}

/** What has to be remembered of a condition that was said. */
export type PreviousCondition = Pick<Condition, 'type' | 'status' | 'lastTransitionTime'>

/**
 * Conditions in the order of the statements. As long as a status stays what it was in `previous`, so does its lastTransitionTime; without
 * `previous`, after a restart, the facts' word counts. `generation`: of the spec that they are about.
 */
export function conditionsOf(
  statements: readonly ConditionFact[],
  of: { generation: number; now: number; previous?: readonly PreviousCondition[] | undefined },
): Condition[] {
  return statements.map(({ type, status, reason, message, since }) => {
    const before = of.previous?.find(one => one.type === type)
    return {
      type,
      status,
      observedGeneration: of.generation,
      lastTransitionTime: transitionOf(before, { status, since, now: of.now }),
      reason,
      message: head(message, LONGEST_MESSAGE),
    }
  })
}

function transitionOf(
  before: PreviousCondition | undefined,
  { status, since, now }: { status: Condition['status']; since: number; now: number },
): string {
  if (before?.status === status) return before.lastTransitionTime
  const time = rfc3339Seconds(Math.min(since, now))
  // It cannot have become so before it became what it was: then the facts are too coarse, and it became so now.
  return before && time < before.lastTransitionTime ? rfc3339Seconds(now) : time
}
