/**
 * What a fence must do, by the names of the model (protocol_model.py): without either of them a process lives on after its run was
 * buried. One object, so that a test can take one away and see what happens.
 */
export const rules = {
  /** DROP: what is only armed is dropped. */
  dropsArmed: (): boolean => true,

  /** KILL: SIGKILL at once, whatever grace the run was promised. Milliseconds. */
  graceMs: (_promised: number): number => 0,
}
