import { type Clock, systemClock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import { type EtcdAuth, etcdAuth } from './auth.ts'
import { ClusterMembers } from './cluster-members.ts'
import type { Tls } from './connection.ts'
import { EtcdUnavailable } from './errors.ts'
import { batch, get, list, txn } from './kv.ts'
import { grantLease, keepLeaseAlive, revokeLease } from './lease.ts'
import { readSnapshot } from './snapshot.ts'
import { readStatus } from './status.ts'
import type { BatchAnswer, KeyValue, Status, Txn, TxnAnswer } from './types.ts'
import { createView, type View } from './view.ts'
import { Watches } from './watch-stream.ts'

export type { View } from './view.ts'

export interface EtcdOptions {
  /** `https://host:port` of each member of the cluster. */
  endpoints: readonly string[]
  tls?: Tls
  log: Log
  clock?: Clock
  /** Deadline of each call, and of each page of a list. Default 5000. */
  callTimeoutMs?: number
  /** A watch without an answer for this long is lost. Default 10000. */
  watchDeadlineMs?: number
}

/**
 * The etcd client. It uses etcd3's gRPC clients, but not its retries, circuit breakers, watches and leases. It has no lock and no
 * election: only a transaction's comparisons give safety.
 *
 * Faults: EtcdUnavailable (not applied), EtcdAmbiguous (a write that may have been applied) and EtcdRefused (a bug), each with its cause.
 * If its signal aborts, a call that was not sent rejects with the signal's reason, and a write that was sent with EtcdAmbiguous.
 */
export interface Etcd {
  /** Linearizable. Tried on other members until the deadline. */
  get(key: string, signal?: AbortSignal): Promise<KeyValue | undefined>
  /** All keys under a prefix at one revision, in key order. Read in pages. */
  list(prefix: string, signal?: AbortSignal): Promise<{ items: KeyValue[]; revision: number }>
  /** Sent once, never repeated. */
  txn(txn: Txn, signal?: AbortSignal): Promise<TxnAnswer>
  /** Many transactions, in as few requests as etcd's limits allow, one after another. Each succeeds or fails by itself. */
  batch(txns: readonly Txn[], signal?: AbortSignal): Promise<BatchAnswer[]>
  /** A view of all keys with a prefix, or of one key. */
  view(of: string | { key: string }): View
  /** `ttlSeconds`: whole seconds, at least 1. etcd may grant more. */
  lease(ttlSeconds: number): Promise<{ id: string; ttl: number }>
  /** One keepalive: the seconds left, 0 if the lease is gone. Rejects if etcd does not answer in time: the lease may still live. */
  keepAlive(id: string, timeoutMs: number): Promise<number>
  revoke(id: string): Promise<void>
  /** The status of one reachable member. It answers without a quorum too. */
  status(signal?: AbortSignal): Promise<Status>
  /** The database of one member in pieces, and then its SHA-256. For the role `root`. */
  snapshot(signal: AbortSignal): AsyncIterable<Buffer>
  readonly auth: EtcdAuth
  /** Uses new certificates: reconnects to all members; views list again. */
  useTls(tls: Tls): void
  /** Closes views and connections. Calls in flight fail. */
  close(): Promise<void>
}

export function connectEtcd(options: EtcdOptions): Etcd {
  const {
    endpoints,
    tls,
    log,
    clock = systemClock,
    callTimeoutMs = 5_000,
    watchDeadlineMs = 10_000,
  } = options
  const members = new ClusterMembers({ endpoints, tls, log, clock, callTimeoutMs })
  const watches = new Watches({
    members,
    clock,
    connectTimeoutMs: callTimeoutMs,
    deadlineMs: watchDeadlineMs,
  })
  const views = new Set<View>()
  let closed = false
  return {
    get: (key, signal) => get(members, key, signal),
    list: (prefix, signal) => list(members, { prefix }, signal),
    txn: (one, signal) => txn(members, one, signal),
    batch: (txns, signal) => batch(members, txns, signal),
    auth: etcdAuth(members),
    view: of => {
      const keys = typeof of === 'string' ? { prefix: of } : of
      const view = createView({
        keys,
        watches,
        clock,
        log,
        list: signal => list(members, keys, signal),
        onClosed: () => views.delete(view),
      })
      views.add(view)
      if (closed) void view.close()
      return view
    },
    lease: ttlSeconds => grantLease(members, ttlSeconds),
    keepAlive: (id, timeoutMs) => keepLeaseAlive(members, id, timeoutMs),
    revoke: id => revokeLease(members, id),
    status: signal => readStatus(members, signal),
    snapshot: signal => readSnapshot(members, signal),
    useTls: tls => members.useTls(tls),
    close: async () => {
      closed = true
      await Promise.all([...views].map(view => view.close()))
      watches.close(new EtcdUnavailable('Closed', 'the etcd client is closed'))
      members.close()
    },
  }
}
