import type { ILeaseGrantResponse, ILeaseKeepAliveResponse } from 'etcd3'
import { deadline } from '../../platform/clock.ts'
import type { ClusterMember, ClusterMembers } from './cluster-members.ts'
import type { RawStream } from './connection.ts'
import { EtcdUnavailable, readFaultOf } from './errors.ts'
import { sendOnce, sendUntilAnswered } from './requests.ts'

/** Grants a lease. `ttl`: the seconds that etcd granted. If the answer is lost, the lease expires unused. */
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

/** Revokes a lease and deletes its keys. Succeeds if the lease is gone already. Repeated until the deadline. */
export async function revokeLease(members: ClusterMembers, id: string): Promise<void> {
  try {
    await sendUntilAnswered(members, { service: 'Lease', method: 'leaseRevoke', request: { ID: id } })
  } catch (error) {
    if (!(error instanceof EtcdUnavailable && error.code === 'LeaseNotFound')) throw error
  }
}

/**
 * Sends one keepalive. Resolves to the seconds that the lease has left, counted from before this call, or 0 if etcd's leader says that the
 * lease is gone. No local clock decides that. Rejects with EtcdUnavailable if etcd does not answer within `timeoutMs`: the lease may live or
 * not, and the next call goes to another member.
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
        // The lease was not renewed, but may live: try again.
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
        reject(new Error('etcd ended the keepalive stream without an answer'))
      })
    stream.write({ ID: id })
  })
}
