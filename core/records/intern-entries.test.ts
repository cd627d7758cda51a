import { expect, test } from 'vitest'
import { type JobEntry, jobEntrySchema } from './entry.ts'
import { createEntryInterner } from './intern-entries.ts'

const entry = (name: string, over: Partial<JobEntry['command']> = {}): JobEntry =>
  jobEntrySchema.parse({
    kind: 'job',
    uid: name,
    generation: 1,
    pool: 'default',
    namespace: 'ops',
    name,
    schedules: ['0 1 * * *'],
    timeZone: 'UTC',
    daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
    scheduleChangedAt: 0,
    command: {
      placement: { agents: ['a'] },
      host: {},
      shell: ['/bin/sh', '-c'],
      script: name,
      outputLimit: 1,
      ...over,
    },
  })

test('equal parts are kept once, and the entries stay equal', () => {
  const intern = createEntryInterner()
  const [one, two] = [intern(entry('one')), intern(entry('two'))]
  expect(one).toEqual(entry('one'))
  expect(two).toEqual(entry('two'))
  expect(two.command.placement).toBe(one.command.placement)
  expect(two.command.shell).toBe(one.command.shell)
  expect(two.schedules).toBe(one.schedules)
})

test('parts that differ are not merged', () => {
  const intern = createEntryInterner()
  intern(entry('one', { shell: ['/bin/sh', '-c'] }))
  expect(intern(entry('two', { shell: ['/bin/bash', '-c'] })).command.shell).toEqual(['/bin/bash', '-c'])
  expect(intern(entry('three', { labels: { team: 'dba' } })).command.labels).toEqual({ team: 'dba' })
})

test('only a few long parts are cached at a time, and frequently used parts stay cached', () => {
  const intern = createEntryInterner()
  const long = (n: number) => entry(`j${n}`, { shell: [`${n}`.padStart(64 * 1024)] })
  const first = intern(long(0))
  const same = () => intern(long(0)).command.shell === first.command.shell
  expect(same()).toBe(true)
  for (let n = 1; n < 100; n++) expect(intern(long(n)).schedules).toBe(first.schedules)
  expect(same()).toBe(false)
})
