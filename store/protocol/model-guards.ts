import type { Settlement } from '../../core/fires/decide.ts'
import type { Compare, Op } from '../etcd/types.ts'

/**
 * The guards of the protocol's transactions, with the names of the model's rules (CAS, OPCAS, WAVE, GAP, ADOPT). The protocol's
 * explicit-state model finds a double, missing, stuck or stale run without any one of them. They are in one object, so that a test can
 * switch one off and replay the model's counterexample (test/fault/rules).
 */
export const guards = {
  /** CAS: claim, end and settle compare the cell's revision, so that no two of them change it from the same state. */
  cellUnchanged: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** An agent with a stale view cannot claim for a job that was edited, suspended or deleted. */
  entryUnchanged: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** OPCAS: the operator overwrites only the revision that it knows. */
  operatorKnows: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** Only a living session claims. A session's number is the create revision of its registration. */
  sessionLives: (key: string, session: number): Compare[] => [{ key, create: session }],

  /** Burial: the owner's registration is still the one that was seen, which is not the buried session. 0: it has none. */
  sessionGone: (key: string, seen: number): Compare[] => [{ key, create: seen }],

  /** An attempt ends once: the transaction that ends it finds its active entry unchanged. */
  stillActive: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** WAVE: a transaction that takes or frees a slot of maxParallel compares the wave, so that no two take the last slot. */
  waveUnchanged: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** A slot is taken under the current maxParallel (a ShellRun's: its job's), so a lower limit also holds for entries compiled before. */
  limitUnchanged: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** A transaction that ends a run finally, or gives its next attempt to nobody, also frees its slot. */
  freesSlot: (): boolean => true,

  /** A holder is removed from a wave only while it has no active entry. */
  holderUnknown: (key: string): Compare[] => [{ key, mod: 0 }],

  /** GAP: a transaction that moves the frontier over times without running them also records their outcomes. */
  recordPassedOver: (settle: readonly Settlement[]): readonly Settlement[] => settle,

  /** ADOPT: the transaction that ends an attempt puts the next one as an active entry. It is never only in a process's memory. */
  putNextAttempt: (ops: readonly Op[]): readonly Op[] => ops,
}
