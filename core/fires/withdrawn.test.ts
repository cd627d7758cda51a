import { expect, test } from 'vitest'
import { type JobEntry, jobEntrySchema } from '../records/entry.ts'
import { withdrawnBy } from './withdrawn.ts'

function entry(over: Partial<JobEntry>): JobEntry {
  return jobEntrySchema.parse({
    kind: 'job',
    uid: 'u',
    generation: 1,
    pool: 'default',
    namespace: 'n',
    name: 'j',
    schedules: ['@hourly'],
    timeZone: 'UTC',
    daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
    scheduleChangedAt: 0,
    command: { placement: {}, shell: ['sh'], script: 'true', outputLimit: 1 },
    ...over,
  })
}
const editing = (settle?: string) =>
  entry({ suspended: true, editing: { at: 1, ...(settle === undefined ? {} : { settle }) } })
const blocked = { reason: 'SecretNotFound', message: '' }

test.each<[string, JobEntry | undefined, string | undefined]>([
  ['in force', entry({}), undefined],
  ['suspended', entry({ suspended: true }), 'Suspended'],
  ['being suspended', editing('Suspended'), 'Suspended'],
  ['being resumed', editing(), 'Suspended'],
  ['being rescheduled', editing('Rescheduled'), undefined],
  ['being retargeted', editing('Retargeted'), undefined],
  ['being moved to another pool', editing('PoolChanged'), 'PoolChanged'],
  ['being deleted', editing('Deleted'), 'Deleted'],
  ['blocked', entry({ blocked }), 'SecretNotFound'],
  ['blocked, being rescheduled', { ...editing('Rescheduled'), blocked }, 'SecretNotFound'],
  ['blocked, being deleted', { ...editing('Deleted'), blocked }, 'Deleted'],
  ['beginning a new clock epoch', editing('ClockSetBack'), 'ClockSetBack'],
  ['of a later clock epoch', entry({ clockEpoch: 2 }), 'ClockSetBack'],
  ['of the same clock epoch', entry({ clockEpoch: 1 }), undefined],
  ['gone', undefined, 'Deleted'],
  ['of another object', entry({ uid: 'other' }), 'Deleted'],
])('of an entry that is %s', (_, now, why) => {
  expect(withdrawnBy(now, { uid: 'u', run: 'n.j.1700000000000~1' })).toBe(why)
})
