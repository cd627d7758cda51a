/**
 * Guards of the agent. The upper-case names are those of docs/protocol.md and of the model (test/model/protocol_model.py).
 * Without any of them a run is stuck, doubled or late. They are one object, so that a test can take one away and see that happen.
 */
export const guards = {
  /** BURYLVL: the agent looks for dead sessions at its start and every TTL, not only when it sees one end. */
  buriesUnseenDeaths: (): boolean => true,

  /** RECON: an own entry that neither memory nor the launcher knows is settled as Lost, because nobody will start it. */
  settlesUnknown: (): boolean => true,

  /** INST: after a restart a claimed run is armed only in the launcher instance that was told of it. Another one may follow a reboot. */
  isLauncherThatWasTold: (told: string, living: string): boolean => told === living,

  /** LATE: before a claimed time is armed, deadline and catchUp judge it again. The claim may have been committed late, or resumed. */
  judgesBeforeArming: (): boolean => true,

  /** POLL: the process that put a time to wait reads its cell every second. */
  looksAtWaiting: (): boolean => true,
}
