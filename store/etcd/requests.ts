import { deadline } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { ClusterMember, ClusterMembers } from './cluster-members.ts'
import type { Connection, Service } from './connection.ts'
import { EtcdAmbiguous, EtcdUnavailable, faultOf, readFaultOf } from './errors.ts'

export interface Call {
  service: Service
  method: string
  request: unknown
}

/** Sends a request over one connection. */
type Send<T> = (connection: Connection, signal: AbortSignal) => Promise<T>

const PAUSE_MS = 100
/** After a change of roles the next try nearly always succeeds, and a claim must not wait for long. */
const STALE_PAUSE_MS = 10

/**
 * Sends a request that changes something, at most once. Only a stale auth revision is sent again: etcd applied nothing then.
 *
 *   no answer in time        ──► EtcdAmbiguous; the member is suspected (ClusterMembers.suspect)
 *   refused: auth is stale   ──► send again
 *   refused: anything else   ──► EtcdUnavailable or EtcdRefused: not applied
 *   any other error          ──► EtcdAmbiguous
 *
 * Rejects with the signal's reason if it aborts before the request was sent.
 */
export async function sendOnce<T>(members: ClusterMembers, call: Call, parent?: AbortSignal): Promise<T> {
  const limit = members.callDeadline(parent)
  try {
    for (;;) {
      const member = await members.connected(call.service, limit.signal, parent)
      try {
        return await member.connection.unary<T>(call.service, call.method, call.request, limit.signal)
      } catch (error) {
        if (limit.signal.aborted) throw unanswered({ members, member, call, limit: limit.signal, parent })
        const fault = faultOf(error, nameOf(member, call))
        if (!('code' in fault)) throw fault
        if (fault.code === 'Lost' || fault.code === 'Unreachable') members.avoid(member, fault)
        if (fault.code !== 'AuthStale') throw fault
        await members.pause(STALE_PAUSE_MS, limit.signal)
      }
    }
  } finally {
    limit.done()
  }
}

/**
 * Sends a request that may be repeated, to any member, until one answers or the deadline passes. Rejects with EtcdUnavailable,
 * EtcdRefused or the signal's reason.
 */
export async function sendUntilAnswered<T>(
  members: ClusterMembers,
  call: Call,
  parent?: AbortSignal,
): Promise<T> {
  const { service, method, request } = call
  return await repeat(
    members,
    { ...call, send: (connection, signal) => connection.unary<T>(service, method, request, signal) },
    parent,
  )
}

/** `sendUntilAnswered` for a request that the caller sends itself. */
export async function repeat<T>(
  members: ClusterMembers,
  call: Pick<Call, 'service' | 'method'> & { send: Send<T> },
  parent?: AbortSignal,
): Promise<T> {
  const limit = members.callDeadline(parent)
  try {
    for (;;) {
      const member = await members.connected(call.service, limit.signal, parent)
      const attempt = deadline(members.attemptMs, limit.signal)
      try {
        return await call.send(member.connection, attempt.signal)
      } catch (error) {
        parent?.throwIfAborted()
        const fault = readFaultOf(error, nameOf(member, call))
        if (!isTransient(fault)) throw fault
        if (attempt.signal.aborted) members.suspect(member)
        if (fault.code === 'Unreachable') members.avoid(member, fault)
        if (limit.signal.aborted) throw fault
        await members.pause(fault.code === 'AuthStale' ? STALE_PAUSE_MS : PAUSE_MS, limit.signal)
      } finally {
        attempt.done()
      }
    }
  } finally {
    limit.done()
  }
}

/** The fault of a request that was sent and not answered before its deadline. */
function unanswered(of: {
  members: ClusterMembers
  member: ClusterMember
  call: Call
  limit: AbortSignal
  parent: AbortSignal | undefined
}): EtcdAmbiguous {
  const { members, member, call, limit, parent } = of
  if (!parent?.aborted && !members.isClosed) {
    members.suspect(member)
    members.avoid(member, limit.reason)
  }
  const message = `${nameOf(member, call)}: ${messageOf(limit.reason)}`
  return new EtcdAmbiguous('Lost', message, { cause: limit.reason })
}

/** Another member, or the same one a moment later, may answer. */
function isTransient(fault: Error): fault is EtcdUnavailable {
  return (
    fault instanceof EtcdUnavailable && ['Unreachable', 'AuthStale', 'TooManyRequests'].includes(fault.code)
  )
}

function nameOf(member: ClusterMember, call: Pick<Call, 'method'>): string {
  return `etcd ${call.method} at ${member.connection.endpoint}`
}
