import { expect, test } from 'vitest'
import { pageOf } from './page.ts'

const object = (kind: string, name: string, no?: string) => ({
  kind,
  metadata: { namespace: kind === 'ShellAgent' ? '' : 'ops', name },
  status: { conditions: no ? [{ type: no, status: 'False' as const } as never] : [] },
})

test('a page has the first rows by name, the jobs that cannot run, and the agents; the others are counted', () => {
  const jobs = Array.from({ length: 10_000 }, (_, i) =>
    object('ShellCronJob', `job-${String(i).padStart(5, '0')}`),
  )
  const objects = [
    object('ShellCronJob', 'z-lost', 'HasTargets'),
    object('ShellPolicy', 'all'),
    ...jobs.toReversed(),
    object('ShellRun', 'a-run'),
    object('ShellAgent', 'vm'),
  ]
  const { objects: page, more } = pageOf(objects, 3)
  expect(page.map(({ metadata }) => metadata.name)).toEqual([
    'a-run',
    'job-00000',
    'job-00001',
    'z-lost',
    'vm',
  ])
  expect(more).toBe(9_998)
})

test('a page of no rows still has the jobs that cannot run', () => {
  const objects = [object('ShellCronJob', 'good'), object('ShellCronJob', 'bad', 'Ready')]
  expect(pageOf(objects, 0)).toMatchObject({ objects: [{ metadata: { name: 'bad' } }], more: 1 })
})
