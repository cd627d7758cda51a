/** Requests to etcd and its answers, apart from etcd3's message types. Keys and values are UTF-8 strings; revisions are safe integers. */

export interface KeyValue {
  key: string
  value: string
  /** Revision of the last change. */
  mod: number
  /** Revision of the creation. A key that was deleted and put again has a new one. */
  create: number
  /** Id of the lease that the key is attached to; '0': none. */
  lease: string
}

/** Compares for equality. Revision 0: the key is absent. The `value` of an absent key equals nothing. */
export type Compare =
  | { key: string; mod: number }
  | { key: string; create: number }
  | { key: string; value: string }
  | { key: string; lease: string }

/** `ignoreLease` leaves the key on its lease. etcd refuses it if the key does not exist. */
export type Op =
  | { put: string; value: string; lease?: string; ignoreLease?: true }
  | { delete: string; prefix?: true }
  | { get: string }

/** If every comparison holds, `then` is applied; otherwise `else`, which may only read. */
export interface Txn {
  compare: readonly Compare[]
  then: readonly Op[]
  else?: readonly { get: string }[]
}

export interface TxnAnswer {
  /** The comparisons held, and `then` was applied. */
  ok: boolean
  /** etcd's revision after the transaction: that of its own writes, if it wrote. */
  revision: number
  /** Answers to the gets of the branch that was applied, in order. */
  gets: (KeyValue | undefined)[]
}

/**
 * The answer to one transaction of a batch. The error is an `Ambiguous` if the transaction may have been applied, and another one if it was
 * not. Read again in both cases.
 */
export type BatchAnswer = TxnAnswer | { ambiguous: Error }

/** State of one reachable member of the cluster. Sizes are in bytes. */
export interface Status {
  version: string
  dbSize: number
  dbSizeInUse: number
  /** The configured quota; undefined before etcd 3.6, which does not report it. */
  dbSizeQuota: number | undefined
  /** Id of the leader that this member knows; '0': none. */
  leader: string
  raftTerm: string
  /** Alarms in force anywhere in the cluster: NOSPACE, CORRUPT. */
  alarms: string[]
}

/** All keys with a prefix, or one key. */
export type KeyRange = { prefix: string } | { key: string }

export interface Change {
  key: string
  now?: KeyValue
  before?: KeyValue
}
