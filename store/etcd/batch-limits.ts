import type { Txn } from './types.ts'

/** Limits of one request. etcd allows 128 operations in it, over two levels: with 100 transactions, each may have 28. */
const maxTransactions = 100
const maxOperations = 28
const maxBytes = 1024 * 1024

/** The keys of a transaction. etcd refuses to write a key twice in one request, and its transactions do not see each other's writes. */
interface Touch {
  reads: string[]
  writes: string[]
  /** Deleted prefixes. */
  wipes: string[]
  bytes: number
  operations: number
}

/**
 * How many of the first `txns` fit into one request, in order: at least one if there is any. No transaction may name a key that another
 * one writes. Several may compare or read the same key, such as a registration.
 */
export function firstBatch(txns: readonly Txn[]): number {
  const [first] = txns
  if (!first) return 0
  const taken = touchOf(first)
  if (taken.operations > maxOperations) return 1
  const reads = new Set(taken.reads)
  const writes = new Set(taken.writes)
  const wipes = [...taken.wipes]
  let bytes = taken.bytes
  let count = 1
  for (const txn of txns.slice(1, maxTransactions)) {
    const touch = touchOf(txn)
    bytes += touch.bytes
    if (bytes > maxBytes || touch.operations > maxOperations) break
    if (collides(touch, { reads, writes, wipes })) break
    for (const key of touch.reads) reads.add(key)
    for (const key of touch.writes) writes.add(key)
    wipes.push(...touch.wipes)
    count += 1
  }
  return count
}

function collides(
  touch: Touch,
  taken: { reads: Set<string>; writes: Set<string>; wipes: readonly string[] },
): boolean {
  const { reads, writes, wipes } = taken
  if (touch.writes.some(key => reads.has(key) || writes.has(key))) return true
  if (touch.reads.some(key => writes.has(key))) return true
  if (wipes.length > 0 && [...touch.reads, ...touch.writes, ...touch.wipes].some(key => within(key, wipes)))
    return true
  return touch.wipes.some(
    wipe =>
      [...reads, ...writes].some(key => key.startsWith(wipe)) || wipes.some(key => key.startsWith(wipe)),
  )
}

function within(key: string, prefixes: readonly string[]): boolean {
  return prefixes.some(prefix => key.startsWith(prefix))
}

function touchOf(txn: Txn): Touch {
  const touch: Touch = {
    reads: [],
    writes: [],
    wipes: [],
    bytes: 0,
    operations: Math.max(txn.compare.length, txn.then.length, txn.else?.length ?? 0),
  }
  const add = (keys: string[], key: string, value = '') => {
    keys.push(key)
    touch.bytes += 32 + Buffer.byteLength(key) + Buffer.byteLength(value)
  }
  for (const compare of txn.compare) add(touch.reads, compare.key, 'value' in compare ? compare.value : '')
  for (const op of [...txn.then, ...(txn.else ?? [])]) {
    if ('put' in op) add(touch.writes, op.put, op.value)
    else if ('get' in op) add(touch.reads, op.get)
    else add(op.prefix ? touch.wipes : touch.writes, op.delete)
  }
  return touch
}
