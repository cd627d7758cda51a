/** What compiling answers when the object cannot run as it is. */
export interface Blocked {
  kind: 'blocked'
  /** PascalCase; the same in conditions, Events, logs and results. */
  reason: string
  /** Names the field and the remedy. */
  message: string
  /** Another object may mend it (a Secret, a pool, a policy); else only an edit of this one does. */
  mendable: boolean
}

export function blocked(reason: string, message: string, mendable = false): Blocked {
  return { kind: 'blocked', reason, message, mendable }
}
