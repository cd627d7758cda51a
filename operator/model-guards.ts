/**
 * What the operator must do whatever happens, by the names of the model (protocol_model.py): without either of them a time stays
 * without an outcome. One object, so that a test can take one away and see what happens.
 */
export const guards = {
  /** SWEEP: what nobody has claimed when it closes is settled by the operator. */
  settlesUnclaimed: (): boolean => true,

  /** EDITS: an edit that changes which times or targets exist goes by suspension, so that the old ones are settled before. */
  editsBySuspension: (): boolean => true,
}
