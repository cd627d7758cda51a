/** Why an object cannot run as it is. */
export interface Blocked {
  kind: 'blocked'
  /** PascalCase; the same in conditions, Events, logs and results. */
  reason: string
  /** Names the field, the value and the remedy. */
  message: string
  /** Another object (a Secret, a pool, a policy) may fix it. Otherwise only an edit of this object does. */
  mendable: boolean
}

export function blocked(reason: string, message: string, mendable = false): Blocked {
  return { kind: 'blocked', reason, message, mendable }
}
