/**
 * Guards of the fence. The upper-case names are those of docs/protocol.md and of the model (test/model/protocol_model.py).
 * Without either of them a process lives after its run was buried. They are one object, so that a test can take one away and see that
 * happen.
 */
export const rules = {
  /** DROP: armed runs are dropped. */
  dropsArmed: (): boolean => true,

  /** KILL: SIGKILL at once, whatever grace period the run has. Milliseconds. */
  graceMs: (_promised: number): number => 0,
}
