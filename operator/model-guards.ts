/**
 * Guards of the operator. The upper-case names are those of docs/protocol.md and of the model (test/model/protocol_model.py).
 * Without any of them a time has no outcome. They are one object, so that a test can take one away and see that happen.
 */
export const guards = {
  /** SWEEP: the operator settles times that nobody has claimed when they close. */
  settlesUnclaimed: (): boolean => true,

  /** EDITS: an edit that changes which times or targets exist suspends the job first, so that the old times are settled before. */
  editsBySuspension: (): boolean => true,

  /** EPOCH: after a clock that was ahead was set right, frontiers in the future are set back, and times count again in a new clock epoch. */
  setsClockBack: (): boolean => true,
}
