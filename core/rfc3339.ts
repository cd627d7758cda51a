import { DAY, dayNumber, monthOf } from './timetable/calendar.ts'

/** RFC 3339 in UTC. Milliseconds are written only if they are not 0. `ms`: since the Unix epoch, in the years 0 to 9999. */
export function rfc3339(ms: number): string {
  const second = Math.floor(ms / 1_000)
  const fraction = ms - second * 1_000
  const day = Math.floor(second / DAY)
  const { year, month } = monthOf(day)
  const ofMonth = day - dayNumber(year, month, 1) + 1
  const ofDay = second - day * DAY
  const date = `${digits(year, 4)}-${digits(month, 2)}-${digits(ofMonth, 2)}`
  const time = [ofDay / 3_600, (ofDay / 60) % 60, ofDay % 60].map(part => digits(Math.floor(part), 2))
  return `${date}T${time.join(':')}${fraction > 0 ? `.${digits(Math.floor(fraction), 3)}` : ''}Z`
}

/** As `rfc3339`, rounded down to the second, which is the precision of Kubernetes' own times. */
export function rfc3339Seconds(ms: number): string {
  return rfc3339(Math.floor(ms / 1_000) * 1_000)
}

function digits(value: number, count: number): string {
  return String(value).padStart(count, '0')
}
