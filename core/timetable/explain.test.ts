import { expect, test } from 'vitest'
import { InvalidInput } from '../errors.ts'
import { explain } from './explain.ts'

test.each([
  ['0 1 * * *', 'At 01:00, every day.'],
  ['*/15 * * * *', 'Every 15 minutes.'],
  ['*/7 * * * *', 'Every 7 minutes, counted from minute 0 of every hour.'],
  ['*/5 9-17 * * mon-fri', 'Every 5 minutes from 09:00 to 17:59, on Monday to Friday.'],
  ['0 0 1,15 * Sun', 'At 00:00, on the 1st and the 15th of the month and also on Sunday.'],
  ['* * * * * *', 'Every second.'],
  ['*/10 * * * * *', 'Every 10 seconds.'],
  ['5 * * * * *', 'At second 5 of every minute.'],
  ['* 30 2 * * *', 'Every second of minute 30 from 02:00 to 02:59, every day.'],
  ['30 */2 * * *', 'At minute 30 of every 2nd hour from 00:00, every day.'],
  [
    '0 0 LW,15W * *',
    'At 00:00, on the last working day and the working day nearest to the 15th of the month.',
  ],
  ['0 0 L-2 * *', 'At 00:00, on the 3rd day from the end of the month.'],
  ['0 0 * * 5#3,mon', 'At 00:00, on Monday and the third Friday of the month.'],
  ['0 0 * * 5L', 'At 00:00, on the last Friday of the month.'],
  ['0 0 * * wed-sun', 'At 00:00, on Wednesday to Sunday.'],
  ['0 0 1-31 * Mon', 'At 00:00, every day.'],
  ['0 0 11-13 1-3,12 *', 'At 00:00, on the 11th to the 13th of the month, in January to March and December.'],
  ['@hourly', 'At minute 0 of every hour.'],
  ['@yearly', 'At 00:00, on the 1st of the month, in January.'],
  ['@every 90s', 'Every 1 minute 30 seconds, counted from 1970-01-01T00:00:00Z.'],
  ['@every 1h', 'Every hour, counted from 1970-01-01T00:00:00Z.'],
])('%s: %s', (schedule, sentence) => {
  expect(explain(schedule, 'ops/job')).toBe(sentence)
})

test('H is shown as the time of this job', () => {
  expect(explain('H H * * *', 'ops/job')).toMatch(/^At \d\d:\d\d, every day\.$/)
})

test('the value of H never changes, because that would move the times of jobs', () => {
  expect(explain('H H H H *', 'ops/job')).toBe('At 02:29, on the 17th of the month, in April.')
  expect(explain('0 0 * * H', 'ops/job')).toBe('At 00:00, on Wednesday.')
})

test('an invalid schedule is refused', () => {
  expect(() => explain('0 0 30 2 *', 'ops/job')).toThrow(InvalidInput)
})
