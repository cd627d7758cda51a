import { expect, test } from 'vitest'
import { createKeys, scheduledRunId, shellRunId } from './keys.ts'

const keys = createKeys('/test/')
const ref = { pool: 'default', namespace: 'ops', name: 'disk' }
const cell = { ...ref, kind: 'job' as const, target: 'node.example.org' }

test('parsing a key returns the parts that it was built from', () => {
  expect(keys.parseJob(keys.job(ref))).toEqual(ref)
  expect(keys.parseRun(keys.run(ref))).toEqual(ref)
  expect(keys.parseCell(keys.cell(cell))).toEqual(cell)
  expect(keys.parseActive(keys.active('default', 'a', 'ops.disk.1'))).toEqual({
    pool: 'default',
    agent: 'a',
    runId: 'ops.disk.1',
  })
  expect(keys.parseResult(keys.result('default', 'ops.disk.1', 2))).toEqual({
    pool: 'default',
    runId: 'ops.disk.1',
    attempt: 2,
  })
  expect(keys.parseMember(keys.member('default', 'a'))).toEqual({ pool: 'default', agent: 'a' })
  expect(keys.parseAgent(keys.agent('default', 'a'))).toEqual({ pool: 'default', agent: 'a' })
  expect(keys.parseRequest(keys.request('default', 'x'))).toEqual({ pool: 'default', id: 'x' })
  expect(keys.parseIdentity(keys.identity('db', 'a.b'))).toEqual({ pool: 'db', agent: 'a.b' })
  expect(keys.parseStatus(keys.status('job', 'ops', 'disk'))).toEqual({
    kind: 'job',
    namespace: 'ops',
    name: 'disk',
  })
  expect(keys.parsePool(keys.pool('default'))).toBe('default')
})

test('every key begins with the prefix that lists it', () => {
  expect(keys.job(ref).startsWith(keys.jobs('default'))).toBe(true)
  expect(keys.cell(cell).startsWith(keys.cellsOf(cell))).toBe(true)
  expect(keys.active('p', 'a', 'r').startsWith(keys.actives('p', 'a'))).toBe(true)
  expect([keys.actives('p', 'a'), keys.actives('p'), keys.actives()]).toEqual([
    '/test/active/p/a/',
    '/test/active/p/',
    '/test/active/',
  ])
})

test('a key of another kind, or with a missing part, is not parsed', () => {
  expect(keys.parseJob(keys.run(ref))).toBeUndefined()
  expect(keys.parseJob('/test/jobs/default/ops')).toBeUndefined()
  expect(keys.parseJob('/other/jobs/default/ops/disk')).toBeUndefined()
  expect(keys.parseResult('/test/results/default/r/x')).toBeUndefined()
})

test('run ids are derived from namespace, name, time and target', () => {
  expect(scheduledRunId({ ...cell, target: '-' }, 1_700_000_000_000)).toBe('ops.disk.1700000000000')
  expect(scheduledRunId(cell, 1_700_000_000_000)).toBe('ops.disk.1700000000000.node.example.org')
  expect(shellRunId({ ...cell, target: '-', uid: '0a1b2c3d-4e5f' })).toBe('ops.disk.run-0a1b2c3d')
})
