import type {
  ICompare,
  IKeyValue,
  IRangeRequest,
  IRequestOp,
  IResponseOp,
  ITxnRequest,
  IWatchResponse,
} from 'etcd3'
import type { Compare, KeyRange, KeyValue, Op, Txn } from './types.ts'

/** Translates between types.ts and the messages of etcd3's gRPC clients. */

const none = '0'

export function keyValueOf(kv: IKeyValue): KeyValue {
  return {
    key: kv.key.toString('utf8'),
    value: kv.value.toString('utf8'),
    mod: Number(kv.mod_revision),
    create: Number(kv.create_revision),
    // One shared string: a view of 100,000 keys would otherwise hold as many copies of '0'.
    lease: kv.lease === none ? none : kv.lease,
  }
}

/** Without `now` the key was deleted. */
export interface WatchEvent {
  key: string
  now?: KeyValue
}

export function watchEventOf({ type, kv }: IWatchResponse['events'][number]): WatchEvent {
  if (type === 'Delete') return { key: kv.key.toString('utf8') }
  const now = keyValueOf(kv)
  return { key: now.key, now }
}

/** etcd's range end for a prefix: the smallest key after all that begin with it. For '' it is the end of all keys. */
export function endOf(prefix: string): Buffer {
  if (prefix === '') return Buffer.from([0])
  const end = Buffer.from(prefix)
  const last = end.length - 1
  end[last] = (end[last] ?? 0) + 1
  return end
}

/** The first key of a prefix. etcd refuses an empty key. */
export function startOf(prefix: string): Buffer {
  return prefix === '' ? Buffer.from([0]) : Buffer.from(prefix)
}

/** One key is the range up to the next possible key: so a role that may read it admits a watch on it. */
export function rangeOf(range: KeyRange): { key: Buffer; range_end: Buffer } {
  if ('prefix' in range) return { key: startOf(range.prefix), range_end: endOf(range.prefix) }
  return { key: Buffer.from(range.key), range_end: Buffer.from(`${range.key}\0`) }
}

export function getRequest(key: string): IRangeRequest {
  return { key: Buffer.from(key) }
}

export function txnRequest(txn: Txn): ITxnRequest {
  return {
    compare: txn.compare.map(compareRequest),
    success: txn.then.map(opRequest),
    failure: (txn.else ?? []).map(opRequest),
  }
}

export function nestedRequest(txns: readonly Txn[]): ITxnRequest {
  return { success: txns.map(txn => ({ request_txn: txnRequest(txn) })) }
}

/** The answers to the gets of one branch, in order. */
export function getsOf(responses: readonly IResponseOp[]): (KeyValue | undefined)[] {
  const gets: (KeyValue | undefined)[] = []
  for (const { response_range: range } of responses as readonly Partial<IResponseOp>[]) {
    if (!range) continue
    const [kv] = range.kvs
    gets.push(kv && keyValueOf(kv))
  }
  return gets
}

function compareRequest(compare: Compare): ICompare {
  const key = Buffer.from(compare.key)
  if ('mod' in compare) return { key, result: 'Equal', target: 'Mod', mod_revision: compare.mod }
  if ('create' in compare) return { key, result: 'Equal', target: 'Create', create_revision: compare.create }
  if ('value' in compare) return { key, result: 'Equal', target: 'Value', value: Buffer.from(compare.value) }
  return { key, result: 'Equal', target: 'Lease', lease: compare.lease }
}

function opRequest(op: Op): IRequestOp {
  if ('get' in op) return { request_range: getRequest(op.get) }
  if ('delete' in op)
    return {
      request_delete_range: op.prefix
        ? { key: startOf(op.delete), range_end: endOf(op.delete) }
        : { key: Buffer.from(op.delete) },
    }
  return {
    request_put: {
      key: Buffer.from(op.put),
      value: Buffer.from(op.value),
      lease: op.lease ?? none,
      ignore_lease: op.ignoreLease ?? false,
    },
  }
}
