/**
 * The operator's guards in the protocol model (protocol_model.py), by the names that they have there. Without either of them some time
 * never gets an outcome. They are one object, so that a test can remove a guard and observe the effect.
 */
export const guards = {
  /** SWEEP: the operator settles a time that no agent has claimed when it closes. */
  settlesUnclaimed: (): boolean => true,

  /** EDITS: an edit that changes which times or targets exist first suspends the job, so that the old ones are settled. */
  editsBySuspension: (): boolean => true,
}
