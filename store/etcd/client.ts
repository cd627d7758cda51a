import { type Clock, systemClock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import { ClusterMembers } from './cluster-members.ts'
import type { Tls } from './connection.ts'
import { EtcdUnavailable } from './errors.ts'
import { batch, get, list, txn } from './kv.ts'
import { grantLease, keepLeaseAlive, revokeLease } from './lease.ts'
import { readStatus } from './status.ts'
import type { BatchAnswer, KeyValue, Status, Txn, TxnAnswer } from './types.ts'
import { createView, type View } from './view.ts'
import { Watches } from './watch-stream.ts'

export type { View } from './view.ts'

export interface EtcdOptions {
  /** Of all members: `https://host:port`. */
  endpoints: readonly string[]
  tls?: Tls
  log: Log
  clock?: Clock
  /** Deadline of every call; of each page of a list. Default 5000. */
  callTimeoutMs?: number
  /** Silence after which a watch counts as dead. Default 10000. */
  watchDeadlineMs?: number
}

/**
 * etcd, as the protocol needs it: etcd3's raw clients without its retries, breakers, watches and leases. There is no lock and
 * no election: neither gives safety; a transaction that compares does.
 *
 * Faults: EtcdUnavailable (not done), EtcdAmbiguous (a write that may have been done), EtcdRefused (a bug), each with its
 * cause. A call whose signal aborts before it was sent rejects with the signal's reason; a write that was sent, with EtcdAmbiguous.
 */
export interface Etcd {
  /** Linearizable; repeated on other members until the deadline. */
  get(key: string, signal?: AbortSignal): Promise<KeyValue | undefined>
  /** All keys under a prefix in key order, at one revision, read in pages. */
  list(prefix: string, signal?: AbortSignal): Promise<{ items: KeyValue[]; revision: number }>
  /** Sent once, never repeated. */
  txn(txn: Txn, signal?: AbortSignal): Promise<TxnAnswer>
  /** Many transactions in as few requests as etcd's limits allow, one request after the other; each succeeds or fails by itself. */
  batch(txns: readonly Txn[], signal?: AbortSignal): Promise<BatchAnswer[]>
  view(prefix: string): View
  /** `ttlSeconds`: whole seconds, at least 1; etcd may grant more. */
  lease(ttlSeconds: number): Promise<{ id: string; ttl: number }>
  /** One keepalive: seconds left, 0 = the lease is gone. Rejects when etcd does not answer in time, which says nothing about the lease. */
  keepAlive(id: string, timeoutMs: number): Promise<number>
  revoke(id: string): Promise<void>
  /** Of one reachable member. Answers also without a quorum. */
  status(signal?: AbortSignal): Promise<Status>
  /** New certificates: all connections are made anew, views list again. */
  useTls(tls: Tls): void
  /** Ends views and connections; calls in flight fail. */
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
    list: (prefix, signal) => list(members, prefix, signal),
    txn: (one, signal) => txn(members, one, signal),
    batch: (txns, signal) => batch(members, txns, signal),
    view: prefix => {
      const view = createView({
        prefix,
        watches,
        clock,
        log,
        list: signal => list(members, prefix, signal),
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
    useTls: tls => members.useTls(tls),
    close: async () => {
      closed = true
      await Promise.all([...views].map(view => view.close()))
      watches.close(new EtcdUnavailable('Closed', 'the etcd client is closed'))
      members.close()
    },
  }
}
