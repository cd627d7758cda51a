/**
 * What an agent must do whatever happens, by the names of the model (protocol_model.py): without any of them it finds a stuck,
 * doubled or late run. One object, so that a test can take one away and see what happens.
 */
export const guards = {
  /** BURYLVL: the dead are looked for at start and every TTL, not only when somebody is seen to die. */
  buriesUnseenDeaths: (): boolean => true,

  /** RECON: an entry of mine that neither memory nor the launcher knows is settled, as nobody will ever start it. */
  settlesUnknown: (): boolean => true,

  /** INST: a claimed run is armed after a restart only by the launcher that was told of it; another one may follow a reboot. */
  isLauncherThatWasTold: (told: string, living: string): boolean => told === living,

  /** POLL: who put a time to wait looks at its cell every second. */
  looksAtWaiting: (): boolean => true,
}
