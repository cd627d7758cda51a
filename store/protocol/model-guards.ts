import type { Settlement } from '../../core/fires/decide.ts'
import type { Compare, Op } from '../etcd/types.ts'

/**
 * The comparisons that the protocol rests on, by the names of the model (protocol_model.py): without any of them it finds a doubled,
 * missing, stuck or stale run. One object, so that a test can take one away and see what happens.
 */
export const guards = {
  /** CAS: whoever claims, ends or settles compares the cell's revision, so that no two change it from the same state. */
  cellUnchanged: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** A stale watch cannot claim for a stale, suspended or deleted job; and OPCAS: the operator writes only over what it knows. */
  entryUnchanged: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** OPCAS, for the operator's own writes. */
  operatorKnows: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** Only a living session claims: a registration's create revision is its session. */
  sessionLives: (key: string, session: number): Compare[] => [{ key, create: session }],

  /** Burial: the owner's registration is still what was seen, and that was not the buried session. 0: none. */
  sessionGone: (key: string, seen: number): Compare[] => [{ key, create: seen }],

  /** An attempt is ended once, by whoever finds its entry unchanged. */
  stillActive: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** WAVE: who takes or gives back a place of maxParallel compares the wave: neither two take the last one, nor is one taken back. */
  waveUnchanged: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** Who takes a place goes by maxParallel as it is now, a ShellRun by its job's: an edit that lowers it holds for what was compiled before. */
  limitUnchanged: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** Whoever ends a run for good, or leaves its next attempt to nobody, gives its place back in the same transaction. */
  freesSlot: (): boolean => true,

  /** A holder is taken out of a wave only while nothing is active under its name. */
  holderUnknown: (key: string): Compare[] => [{ key, mod: 0 }],

  /** GAP: who moves the frontier over times without running them puts their outcome into the same transaction. */
  recordPassedOver: (settle: readonly Settlement[]): readonly Settlement[] => settle,

  /** ADOPT: the next attempt is an entry of its own, put by the transaction that ends the attempt before; never in anybody's memory. */
  putNextAttempt: (ops: readonly Op[]): readonly Op[] => ops,
}
