import type { Condition } from '../schema/status.ts'
import { conditionsOf, type PreviousCondition } from './transition-times.ts'

/** The status of an object that cannot fail: Ready as soon as its generation was seen. `created`: ms since the epoch. */
export function readyStatus(facts: {
  now: number
  created: number
  generation: number
  previous?: readonly PreviousCondition[] | undefined
}): {
  observedGeneration: number
  conditions: Condition[]
} {
  const { generation, created: since } = facts
  const ready = { type: 'Ready', status: 'True', reason: 'Accepted', message: 'accepted', since } as const
  return { observedGeneration: generation, conditions: conditionsOf([ready], facts) }
}
