import type { ILeaseGrantResponse, ILeaseKeepAliveResponse } from 'etcd3'
import { deadline } from '../../platform/clock.ts'
import type { ClusterMember, ClusterMembers } from './cluster-members.ts'
import type { RawStream } from './connection.ts'
import { EtcdUnavailable, readFaultOf } from './errors.ts'
import { sendOnce, sendUntilAnswered } from './requests.ts'

/** A new lease, of `ttl` seconds as etcd granted it. If the answer is lost, so is the lease: it ends by itself. */
export async function grantLease(
  members: ClusterMembers,
  ttlSeconds: number,
): Promise<{ id: string; ttl: number }> {
  const request = { TTL: Math.ceil(ttlSeconds) }
  const answer = await sendOnce<ILeaseGrantResponse>(members, {
    service: 'Lease',
    method: 'leaseGrant',
    request,
  })
  return { id: answer.ID, ttl: Number(answer.TTL) }
}

/** Ends a lease and deletes its keys; one that is gone already is fine. Repeated until the deadline. */
export async function revokeLease(members: ClusterMembers, id: string): Promise<void> {
  try {
    await sendUntilAnswered(members, { service: 'Lease', method: 'leaseRevoke', request: { ID: id } })
  } catch (error) {
    if (!(error instanceof EtcdUnavailable && error.code === 'LeaseNotFound')) throw error
  }
}

/**
 * One keepalive: the seconds that the lease now has left, or 0 if etcd says that it is gone (the leader says so, never a
 * clock here). Sent once; the time of a lease counts from before this call. Rejects with EtcdUnavailable when etcd does not
 * answer within `timeoutMs`: then the lease may live or not, and the next call goes to another member.
 */
export async function keepLeaseAlive(
  members: ClusterMembers,
  id: string,
  timeoutMs: number,
): Promise<number> {
  const limit = deadline(timeoutMs)
  try {
    for (;;) {
      const member = await members.connected('Lease', limit.signal)
      try {
        return await keepAliveAt(member, id, limit.signal)
      } catch (error) {
        const fault = readFaultOf(error, `etcd keepalive at ${member.connection.endpoint}`)
        if (limit.signal.aborted) members.suspect(member)
        // Renewed nothing, and says nothing about the lease.
        if (fault instanceof EtcdUnavailable && fault.code === 'AuthStale') continue
        members.avoid(member, fault)
        throw fault
      }
    }
  } finally {
    limit.done()
  }
}

async function keepAliveAt({ connection }: ClusterMember, id: string, signal: AbortSignal): Promise<number> {
  const stream = await connection.stream('Lease', 'leaseKeepAlive', false)
  try {
    return await answerOf(stream, id, signal)
  } finally {
    stream.cancel()
  }
}

function answerOf(stream: RawStream, id: string, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    const done = () => signal.removeEventListener('abort', onAbort)
    stream
      .on('data', (answer: ILeaseKeepAliveResponse) => {
        done()
        resolve(Number(answer.TTL))
      })
      .on('error', error => {
        done()
        reject(error)
      })
      .on('end', () => {
        done()
        reject(new Error('stream ended without an answer'))
      })
    stream.write({ ID: id })
  })
}
