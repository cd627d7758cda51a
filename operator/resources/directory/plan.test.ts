import { expect, test } from 'vitest'
import { canonical } from './canonical.ts'
import { packStatus } from './packed-status.ts'
import { type DirectoryState, type FileContent, type FileObject, plan } from './plan.ts'
import type { ObjectRecord } from './record.ts'

const KEY = 'ShellCronJob/ops/backup'

function object(file: string, spec: unknown = { schedule: '@daily' }, key = KEY): FileObject {
  return { key, file, line: 1, labels: {}, annotations: {}, spec: canonical(spec) }
}

function file(...objects: FileObject[]): FileContent {
  return { objects, problems: [] }
}

/** The records after the plan for these files, as if all its writes had succeeded. */
function after(
  records: ReadonlyMap<string, ObjectRecord>,
  files: Record<string, FileContent>,
  more: Partial<DirectoryState> = {},
) {
  const steps = plan({
    records,
    files: new Map(Object.entries(files)),
    unreadable: [],
    settled: true,
    now: 1_000,
    ...more,
  })
  const next = new Map([...records, ...steps.puts])
  for (const key of steps.deletes) next.delete(key)
  return { next, problems: steps.problems, writes: steps.puts.size + steps.deletes.length }
}

const none = new Map<string, ObjectRecord>()
const { next: one } = after(none, { 'a.yaml': file(object('a.yaml')) })
const withFinalizer = new Map([...one].map(([key, record]) => [key, { ...record, finalizer: true }]))

test('an unchanged object is not written', () => {
  expect(after(one, { 'a.yaml': file(object('a.yaml')) }).writes).toBe(0)
})

test('the generation grows with the spec, whatever the order of its fields, and not with labels', () => {
  const before = after(none, { 'a.yaml': file(object('a.yaml', { a: 1, b: { c: 1, d: 2 } })) }).next
  const same = after(before, { 'a.yaml': file(object('a.yaml', { b: { d: 2, c: 1 }, a: 1 })) })
  expect(same.next.get(KEY)?.generation).toBe(1)
  const labelled = { ...object('a.yaml', { a: 1, b: { c: 1, d: 2 } }), labels: { team: 'dba' } }
  expect(after(before, { 'a.yaml': file(labelled) }).next.get(KEY)?.generation).toBe(1)
  const edited = after(before, { 'a.yaml': file(object('a.yaml', { a: 2 })) })
  expect(edited.next.get(KEY)).toMatchObject({ generation: 2, uid: before.get(KEY)?.uid })
})

test('an object that is created again has another uid', () => {
  const gone = after(one, {})
  expect(gone.next.size).toBe(0)
  const back = after(gone.next, { 'a.yaml': file(object('a.yaml')) }, { now: 2_000 })
  expect(back.next.get(KEY)?.uid).not.toBe(one.get(KEY)?.uid)
})

test('with our finalizer a removed object stays, marked as deleted, and is not created again before it is gone', () => {
  const marked = after(withFinalizer, {}, { now: 2_000 })
  expect(marked.next.get(KEY)?.deleted).toBe(2_000)
  expect(after(marked.next, {}, { now: 3_000 }).writes).toBe(0)
  const again = after(marked.next, { 'a.yaml': file(object('a.yaml')) }, { now: 3_000 })
  expect(again.next.get(KEY)).toEqual(marked.next.get(KEY))
})

test('no object of a file with a problem, or of an unreadable folder, is removed', () => {
  const broken = { objects: [], problems: [{ file: 'a.yaml', line: 3, message: 'bad indentation' }] }
  expect(after(one, { 'a.yaml': broken })).toMatchObject({ writes: 0, problems: broken.problems })
  const { next: deep } = after(none, { 'x/a.yaml': file(object('x/a.yaml')) })
  const unreadable = [{ file: 'x', message: 'EACCES' }]
  expect(after(deep, {}, { unreadable })).toMatchObject({ writes: 0, problems: unreadable })
  expect(after(deep, {}, { unreadable: [{ file: 'xy', message: 'EACCES' }] }).next.size).toBe(0)
  expect(after(deep, {}, { unreadable: [{ file: '.', message: 'EIO' }] }).next.size).toBe(1)
})

test('no object is removed before all files are read', () => {
  expect(after(one, {}, { settled: false }).writes).toBe(0)
})

test('an object that moves to another file stays the same', () => {
  const moved = after(one, { 'b.yaml': file(object('b.yaml')) })
  expect(moved.next.get(KEY)).toMatchObject({ uid: one.get(KEY)?.uid, generation: 1, file: 'b.yaml' })
})

test('if an object is in two files, the earlier one stays in force, and the problem names both', () => {
  const files = { 'b.yaml': file(object('b.yaml', { other: true })), 'a.yaml': file(object('a.yaml')) }
  const { writes, problems } = after(one, files)
  expect(writes).toBe(0)
  expect(problems).toEqual([
    {
      file: 'b.yaml',
      line: 1,
      message: 'ShellCronJob ops/backup is also in a.yaml (line 1), which stays in force; keep one of them',
    },
  ])
})

test('if a new object is in two files, neither is used', () => {
  const { next, problems } = after(none, { a: file(object('a')), b: file(object('b')) })
  expect(next.size).toBe(0)
  expect(problems.map(({ file: name, message }) => [name, message.includes('neither')])).toEqual([
    ['a', true],
    ['b', true],
  ])
  const twice = after(none, { a: file({ ...object('a'), line: 1 }, { ...object('a'), line: 9 }) })
  expect(twice.problems[0]?.message).toContain('also in a (line 9)')
})

test('the spec of a ShellRun cannot be edited', () => {
  const key = 'ShellRun/ops/now'
  const { next } = after(none, { a: file(object('a', { x: 1 }, key)) })
  const edited = after(next, { a: file(object('a', { x: 2 }, key)) })
  expect(edited.writes).toBe(0)
  expect(edited.problems).toMatchObject([{ file: 'a', line: 1, field: 'spec' }])
})

test('a status makes no difference, and a change of the record does', () => {
  const files = {
    'a.yaml': file(object('a.yaml')),
    'b.yaml': file(object('b.yaml', {}, 'ShellCronJob/ops/other')),
  }
  const records = after(none, files).next
  const status = packStatus({ n: 1 })
  const reported = new Map([...records].map(([key, record]) => [key, { ...record, status }]))
  expect(after(reported, files).writes).toBe(0)
  const labelled = new Map([...reported].map(([key, record]) => [key, { ...record, labels: { a: 'b' } }]))
  const restored = after(labelled, files)
  expect(restored.writes).toBe(2)
  expect(restored.next).toEqual(reported)
})
