import { expect, test } from 'vitest'
import { createPageIndex, type RowRef, type ShownObject } from './page.ts'

const row = (name: string, kind: RowRef['kind'] = 'ShellCronJob'): RowRef => ({
  kind,
  namespace: 'ops',
  name,
})
const statusWithNo = (type: string): ShownObject['status'] => ({
  conditions: [{ type, status: 'False' as const } as never],
})
const nameOf = (i: number) => `job-${String(i).padStart(5, '0')}`
const look = ({ kind, ...metadata }: RowRef): ShownObject => ({ kind, metadata })
const names = (objects: readonly ShownObject[]) => objects.map(({ metadata }) => metadata.name)

test('a page has the first rows by name and the jobs that cannot run; the others are counted', () => {
  const index = createPageIndex()
  index.set(row('z-lost'), statusWithNo('HasTargets'))
  for (let i = 9_999; i >= 0; i--) index.set(row(nameOf(i)), undefined)
  index.set(row('a-run', 'ShellRun'), statusWithNo('Ready'))
  const { objects, more } = index.page(3, look)
  expect(names(objects)).toEqual(['a-run', 'job-00000', 'job-00001', 'z-lost'])
  expect(more).toBe(9_998)
})

test('a page of no rows still has the jobs that cannot run, until they can or are gone', () => {
  const index = createPageIndex()
  index.set(row('good'), undefined)
  index.set(row('bad'), statusWithNo('Ready'))
  index.set(row('worse'), statusWithNo('Ready'))
  expect(names(index.page(0, look).objects)).toEqual(['bad', 'worse'])
  index.set(row('bad'), undefined)
  index.delete(row('worse'))
  expect(index.page(0, look)).toEqual({ objects: [], more: 2 })
})

test('a job that comes, or goes, between two looks is in its place in the next one', () => {
  const index = createPageIndex()
  index.set(row('b'), undefined)
  index.page(9, look)
  index.set(row('a'), undefined)
  expect(names(index.page(9, look).objects)).toEqual(['a', 'b'])
  index.delete(row('b'))
  expect(names(index.page(9, look).objects)).toEqual(['a'])
})

test('a look at one page reads the objects of that page only', () => {
  const index = createPageIndex()
  for (let i = 0; i < 10_000; i++) index.set(row(nameOf(i)), undefined)
  let looks = 0
  index.page(20, ref => {
    looks++
    return look(ref)
  })
  expect(looks).toBe(20)
})
