import { Ambiguous, messageOf, Unavailable } from '../../platform/errors.ts'

/**
 * Why a call failed. `Unreachable`: no member took the request. `NoSpace`: the quota is used up. `PermissionDenied`: also if the user was
 * removed. `LeaseNotFound`: a key was put on a lease that is gone. `Lost`: no answer came.
 */
export type EtcdCode =
  | 'AuthStale'
  | 'Closed'
  | 'Compacted'
  | 'Corrupt'
  | 'LeaseNotFound'
  | 'Lost'
  | 'NoSpace'
  | 'PermissionDenied'
  | 'TooManyRequests'
  | 'Unreachable'

/** etcd did not apply it. */
export class EtcdUnavailable extends Unavailable {
  readonly code: EtcdCode
  constructor(code: EtcdCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** It was sent. etcd may have applied it, or may still apply it. */
export class EtcdAmbiguous extends Ambiguous {
  readonly code: EtcdCode
  constructor(code: EtcdCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** etcd refused the request as invalid: too large, a key written twice, no key. It is a bug in the caller. Not applied, never retried. */
export class EtcdRefused extends Error {
  override readonly name = 'EtcdRefused'
}

/** etcd's errors by a part of their message: gRPC's codes do not tell a refusal from a lost answer. */
const verdicts: readonly { says: string; code: EtcdCode; applied: 'no' | 'unknown' }[] = [
  // etcd applies the first transaction that exceeds the quota, and still answers with this error.
  { says: 'etcdserver: mvcc: database space exceeded', code: 'NoSpace', applied: 'unknown' },
  { says: 'etcdserver: too many requests', code: 'TooManyRequests', applied: 'no' },
  { says: 'etcdserver: permission denied', code: 'PermissionDenied', applied: 'no' },
  { says: 'etcdserver: user name not found', code: 'PermissionDenied', applied: 'no' },
  { says: 'etcdserver: user name is empty', code: 'PermissionDenied', applied: 'no' },
  { says: 'etcdserver: revision of auth store is old', code: 'AuthStale', applied: 'no' },
  { says: 'auth: revision in header is old', code: 'AuthStale', applied: 'no' },
  { says: 'etcdserver: invalid auth token', code: 'AuthStale', applied: 'no' },
  { says: 'etcdserver: requested lease not found', code: 'LeaseNotFound', applied: 'no' },
  { says: 'required revision has been compacted', code: 'Compacted', applied: 'no' },
  { says: 'etcdserver: corrupt cluster', code: 'Corrupt', applied: 'no' },
  { says: 'etcdserver: rpc not supported for learner', code: 'Unreachable', applied: 'no' },
  { says: 'etcdserver: not capable', code: 'Unreachable', applied: 'no' },
]

/**
 * gRPC codes of requests that etcd refuses before it applies anything, if the message is etcd's own: 3 InvalidArgument, 5 NotFound,
 * 9 FailedPrecondition, 11 OutOfRange, 12 Unimplemented.
 */
const refusals = new Set([3, 5, 9, 11, 12])

/** The fault of a call that was sent, from gRPC's error. `what` names the call. */
export function faultOf(error: unknown, what: string): EtcdUnavailable | EtcdAmbiguous | EtcdRefused {
  const message = `${what}: ${detailsOf(error)}`
  const verdict = verdicts.find(verdict => message.includes(verdict.says))
  if (verdict?.applied === 'no') return new EtcdUnavailable(verdict.code, message, { cause: error })
  if (verdict) return new EtcdAmbiguous(verdict.code, message, { cause: error })
  if (refusals.has(codeOf(error)) && message.includes('etcdserver: '))
    return new EtcdRefused(message, { cause: error })
  return new EtcdAmbiguous('Lost', message, { cause: error })
}

/** The same for a call that may be repeated, such as a read: it is never ambiguous. */
export function readFaultOf(error: unknown, what: string): EtcdUnavailable | EtcdRefused {
  const fault = faultOf(error, what)
  if (fault instanceof EtcdAmbiguous)
    return new EtcdUnavailable(fault.code === 'Lost' ? 'Unreachable' : fault.code, fault.message, {
      cause: error,
    })
  return fault
}

function codeOf(error: unknown): number {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'number'
    ? error.code
    : -1
}

function detailsOf(error: unknown): string {
  return typeof error === 'object' &&
    error !== null &&
    'details' in error &&
    typeof error.details === 'string'
    ? error.details
    : messageOf(error)
}
