import type { IRangeResponse, ITxnResponse } from 'etcd3'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import { firstBatch } from './batch-limits.ts'
import type { ClusterMembers } from './cluster-members.ts'
import { EtcdRefused, EtcdUnavailable } from './errors.ts'
import { getRequest, getsOf, keyValueOf, nestedRequest, rangeOf, txnRequest } from './messages.ts'
import { sendOnce, sendUntilAnswered } from './requests.ts'
import type { BatchAnswer, KeyRange, KeyValue, Txn, TxnAnswer } from './types.ts'

const pageBytes = 1024 * 1024
const firstPage = 64
const longestPage = 1_000

/** Linearizable. */
export async function get(
  members: ClusterMembers,
  key: string,
  signal?: AbortSignal,
): Promise<KeyValue | undefined> {
  const answer = await range(members, getRequest(key), signal)
  const [kv] = answer.kvs
  return kv && keyValueOf(kv)
}

/** All keys of a range at one `revision`, read in pages of about 1 MiB. Each page has the deadline of one call. */
export async function list(
  members: ClusterMembers,
  of: KeyRange,
  signal?: AbortSignal,
): Promise<{ items: KeyValue[]; revision: number }> {
  for (let tries = 1; ; tries += 1) {
    const items: KeyValue[] = []
    try {
      let revision = 0
      for await (const page of pages(members, of, signal)) {
        revision = page.revision
        for (const item of page.items) items.push(item)
      }
      return { items, revision }
    } catch (error) {
      // etcd compacted the revision between two pages: start again at a newer one.
      if (!(error instanceof EtcdUnavailable && error.code === 'Compacted') || tries === 5) throw error
    }
  }
}

async function* pages(
  members: ClusterMembers,
  of: KeyRange,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ items: KeyValue[]; revision: number }> {
  const { key: start, range_end: end } = rangeOf(of)
  let key = start
  let revision = 0
  let limit = firstPage
  for (;;) {
    const answer = await range(members, { key, range_end: end, limit, revision }, signal)
    revision ||= Number(answer.header.revision)
    yield { items: answer.kvs.map(keyValueOf), revision }
    const last = answer.kvs.at(-1)
    if (!answer.more || !last) return
    key = Buffer.concat([last.key, Buffer.from([0])])
    const bytes = answer.kvs.reduce((sum, kv) => sum + kv.key.length + kv.value.length, 0)
    limit = Math.min(longestPage, limit * 2, Math.max(1, Math.floor((answer.kvs.length * pageBytes) / bytes)))
  }
}

function range(
  members: ClusterMembers,
  request: object,
  signal: AbortSignal | undefined,
): Promise<IRangeResponse> {
  return sendUntilAnswered<IRangeResponse>(members, { service: 'KV', method: 'range', request }, signal)
}

/** Sent at most once: see `sendOnce`. */
export async function txn(members: ClusterMembers, txn: Txn, signal?: AbortSignal): Promise<TxnAnswer> {
  const answer = await commit(members, txnRequest(txn), signal)
  return {
    ok: answer.succeeded,
    revision: Number(answer.header.revision),
    gets: getsOf(answer.responses),
  }
}

/**
 * Sends transactions together as far as etcd allows, and otherwise one request after another. Each succeeds or fails by itself. If etcd
 * does not answer a request, the later ones are not sent. Resolves to one answer for each transaction, in order.
 */
export async function batch(
  members: ClusterMembers,
  txns: readonly Txn[],
  signal?: AbortSignal,
): Promise<BatchAnswer[]> {
  const answers: BatchAnswer[] = []
  let alone = 0
  while (answers.length < txns.length) {
    const rest = txns.slice(answers.length)
    const group = rest.slice(0, alone > 0 ? 1 : firstBatch(rest))
    alone = Math.max(0, alone - 1)
    try {
      answers.push(...(await together(members, group, signal)))
    } catch (error) {
      const fault = error instanceof Error ? error : new Unavailable(messageOf(error), { cause: error })
      const isOnes = isFaultOfOne(fault)
      // etcd refuses the whole request for the fault of one transaction: send each alone.
      if (isOnes && group.length > 1) alone = group.length
      else for (const _ of group) answers.push({ ambiguous: fault })
      if (isOnes) continue
      const unsent = new EtcdUnavailable(
        'Unreachable',
        'etcd txn: not sent, because the request before it failed',
        {
          cause: fault,
        },
      )
      while (answers.length < txns.length) answers.push({ ambiguous: unsent })
    }
  }
  return answers
}

async function together(
  members: ClusterMembers,
  group: readonly Txn[],
  signal: AbortSignal | undefined,
): Promise<TxnAnswer[]> {
  const [only] = group
  if (only && group.length === 1) return [await txn(members, only, signal)]
  const answer = await commit(members, nestedRequest(group), signal)
  const revision = Number(answer.header.revision)
  return answer.responses.map(({ response_txn: one }) => ({
    ok: one.succeeded,
    revision,
    gets: getsOf(one.responses),
  }))
}

/** The fault of one transaction in a request, not of etcd: the others may succeed. */
function isFaultOfOne(fault: Error): boolean {
  return (
    fault instanceof EtcdRefused ||
    (fault instanceof EtcdUnavailable && ['LeaseNotFound', 'PermissionDenied'].includes(fault.code))
  )
}

function commit(
  members: ClusterMembers,
  request: object,
  signal: AbortSignal | undefined,
): Promise<ITxnResponse> {
  return sendOnce<ITxnResponse>(members, { service: 'KV', method: 'txn', request }, signal)
}
