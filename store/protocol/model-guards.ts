import type { Settlement } from '../../core/fires/settlement.ts'
import type { Compare, Op } from '../etcd/types.ts'

/**
 * Guards of the transactions in this folder. The upper-case names are those of docs/protocol.md and of the model
 * (test/model/protocol_model.py). Without any of them a run is doubled, missing, stuck or stale.
 * They are one object, so that a test can take one away and see that happen.
 */
export const guards = {
  /** CAS: each process that claims, ends or settles compares the cell's revision. So no two change it from the same state. */
  cellUnchanged: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** A claim compares the entry, so that a stale watch cannot claim for a stale, suspended or deleted job. */
  entryUnchanged: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** OPCAS: the operator writes only over the revision that it knows. */
  operatorKnows: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** Only a living session claims. A registration's create revision is its session. */
  sessionLives: (key: string, session: number): Compare[] => [{ key, create: session }],

  /** Burial: the owner's registration is still the one that was seen, and that was not of the buried session. 0: none. */
  sessionGone: (key: string, seen: number): Compare[] => [{ key, create: seen }],

  /** An attempt is ended once: the first process that finds its entry unchanged ends it. */
  stillActive: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** WAVE: a process that takes or returns a slot of maxParallel compares the wave. So two cannot take the last slot. */
  waveUnchanged: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** A slot is taken under maxParallel as it is now; for a ShellRun, as its job has it now. So an edit that lowers it holds at once. */
  limitUnchanged: (key: string, mod: number): Compare[] => [{ key, mod }],

  /** The transaction that ends a run for good, or leaves its next attempt to nobody, returns its slot. */
  freesSlot: (): boolean => true,

  /** A holder is removed from a wave only while no attempt is active under its name. */
  holderUnknown: (key: string): Compare[] => [{ key, mod: 0 }],

  /** GAP: a process that moves the frontier over times without running them puts their outcome into the same transaction. */
  recordPassedOver: (settle: readonly Settlement[]): readonly Settlement[] => settle,

  /** ADOPT: the next attempt is an entry of its own, put by the transaction that ends the attempt before. It is in nobody's memory. */
  putNextAttempt: (ops: readonly Op[]): readonly Op[] => ops,
}
