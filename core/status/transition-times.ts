import { rfc3339Seconds } from '../rfc3339.ts'
import type { Condition } from '../schema/status.ts'
import { head } from './size-limit.ts'

/** The size limit of a condition's message, bytes of JSON. With it, all conditions of an object leave room for its runs. */
const LONGEST_MESSAGE = 768

/** A condition that is to be written. */
export interface NewCondition {
  type: string
  status: Condition['status']
  /** PascalCase. */
  reason: string
  message: string
  /**
   * Since when it has had this status, ms since the epoch. It comes from facts that outlive the operator, because the operator never reads
   * back a status.
   */
  since: number
}

/** The part of a written condition that the operator remembers. */
export type PreviousCondition = Pick<Condition, 'type' | 'status' | 'lastTransitionTime'>

/**
 * Adds the transition times. A condition whose status is the same as in `previous` keeps its lastTransitionTime. Without `previous`,
 * after a restart, `since` counts. `generation`: of the spec that the conditions describe.
 */
export function conditionsOf(
  conditions: readonly NewCondition[],
  of: { generation: number; now: number; previous?: readonly PreviousCondition[] | undefined },
): Condition[] {
  return conditions.map(({ type, status, reason, message, since }) => {
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
  // A transition before the previous one is impossible. Then `since` is too coarse, and the transition is now.
  return before && time < before.lastTransitionTime ? rfc3339Seconds(now) : time
}
