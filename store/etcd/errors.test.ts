import { describe, expect, test } from 'vitest'
import { Ambiguous, Unavailable } from '../../platform/errors.ts'
import { EtcdAmbiguous, EtcdRefused, EtcdUnavailable, faultOf, readFaultOf } from './errors.ts'

const grpc = (code: number, details: string) =>
  Object.assign(new Error(`${code}: ${details}`), { code, details })

describe('the fault of a call that was sent', () => {
  test.each([
    [14, 'etcdserver: leader changed', 'Lost'],
    [14, 'etcdserver: request timed out', 'Lost'],
    [14, 'etcdserver: server stopped', 'Lost'],
    [14, 'Connection dropped', 'Lost'],
    [13, 'Received RST_STREAM with code 2', 'Lost'],
    [2, 'something new', 'Lost'],
    // The client's own limit: the answer was too large, so etcd had received the request.
    [8, 'Received message larger than max (5000000 vs 4194304)', 'Lost'],
    [8, 'etcdserver: mvcc: database space exceeded', 'NoSpace'],
  ])('%i %s is ambiguous, %s', (code, details, expected) => {
    const fault = faultOf(grpc(code, details), 'etcd txn')
    expect(fault).toBeInstanceOf(EtcdAmbiguous)
    expect(fault).toBeInstanceOf(Ambiguous)
    expect(fault).toMatchObject({ code: expected, message: `etcd txn: ${details}` })
  })

  test.each([
    [8, 'etcdserver: too many requests', 'TooManyRequests'],
    [7, 'etcdserver: permission denied', 'PermissionDenied'],
    [3, 'etcdserver: revision of auth store is old', 'AuthStale'],
    [16, 'etcdserver: invalid auth token', 'AuthStale'],
    [5, 'etcdserver: requested lease not found', 'LeaseNotFound'],
    [11, 'etcdserver: mvcc: required revision has been compacted', 'Compacted'],
  ])('%i %s was not applied: %s', (code, details, expected) => {
    const fault = faultOf(grpc(code, details), 'etcd txn')
    expect(fault).toBeInstanceOf(EtcdUnavailable)
    expect(fault).toBeInstanceOf(Unavailable)
    expect(fault).not.toBeInstanceOf(Ambiguous)
    expect(fault).toMatchObject({ code: expected })
  })

  test('a refused request is a bug', () => {
    expect(faultOf(grpc(3, 'etcdserver: duplicate key given in txn request'), '')).toBeInstanceOf(EtcdRefused)
    expect(faultOf(grpc(3, 'etcdserver: request is too large'), '')).toBeInstanceOf(EtcdRefused)
  })

  test('a fault of a read is never ambiguous', () => {
    const fault = readFaultOf(grpc(14, 'etcdserver: leader changed'), 'etcd range')
    expect(fault).not.toBeInstanceOf(Ambiguous)
    expect(fault).toMatchObject({ code: 'Unreachable' })
  })
})
