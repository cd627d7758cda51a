import type { Condition } from '../schema/status.ts'
import { conditionsOf, type PreviousCondition } from './transition-times.ts'

/** The status of what has nothing to go wrong: its generation has been taken over. `created`: ms since the epoch. */
export function plainStatus(facts: {
  now: number
  created: number
  generation: number
  previous?: readonly PreviousCondition[] | undefined
}): {
  observedGeneration: number
  conditions: Condition[]
} {
  const { generation, created: since } = facts
  const ready = { type: 'Ready', status: 'True', reason: 'Accepted', message: 'in force', since } as const
  return { observedGeneration: generation, conditions: conditionsOf([ready], facts) }
}
