/** What etcd is asked and what it answers, free of its wire format. Keys and values are UTF-8 strings, revisions are safe integers. */

export interface KeyValue {
  key: string
  value: string
  /** Revision of the last change. */
  mod: number
  /** Revision of the creation: another one after a delete. */
  create: number
  /** Id of the lease that the key goes with; '0' = none. */
  lease: string
}

/** Equality only. Revision 0 = the key is absent; `value` of an absent key equals nothing. */
export type Compare =
  | { key: string; mod: number }
  | { key: string; create: number }
  | { key: string; value: string }
  | { key: string; lease: string }

/** `ignoreLease` leaves the key on the lease it has, and is refused by etcd if the key does not exist. */
export type Op =
  | { put: string; value: string; lease?: string; ignoreLease?: true }
  | { delete: string; prefix?: true }
  | { get: string }

/** If every compare holds then `then`, else `else`, which may only read. */
export interface Txn {
  compare: readonly Compare[]
  then: readonly Op[]
  else?: readonly { get: string }[]
}

export interface TxnAnswer {
  /** The compares held, `then` was applied. */
  ok: boolean
  /** The store's revision after it: that of the transaction's own writes, if it wrote. */
  revision: number
  /** Answers to the gets of the branch taken, in order. */
  gets: (KeyValue | undefined)[]
}

/**
 * What became of one member of a batch. The error is an `Ambiguous` if nobody knows, and any other one if the member was
 * surely not applied. Re-reading is right in both cases.
 */
export type BatchAnswer = TxnAnswer | { ambiguous: Error }

/** State of one reachable member of the cluster. Sizes in bytes. */
export interface Status {
  version: string
  dbSize: number
  dbSizeInUse: number
  /** The configured quota; undefined before etcd 3.6, which does not tell. */
  dbSizeQuota: number | undefined
  /** Id of the leader that this member knows; '0' = none. */
  leader: string
  raftTerm: string
  /** Alarms in force anywhere in the cluster: NOSPACE, CORRUPT. */
  alarms: string[]
}

export interface Change {
  key: string
  now?: KeyValue
  before?: KeyValue
}
