import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

/** The fires that public test suites expect, through the program as others call it. */
interface Vector {
  id: string
  expr: string
  expr_norm?: string
  tz: string
  from: string
  next: string[]
  kind?: 'match' | 'no-match' | 'unsatisfiable'
  class: string
  must_not_fire_at?: string
}
type Answer =
  | { fires: string[]; error?: never }
  | { fires?: never; error: { field: string; message: string } }

const program = fileURLToPath(new URL('main.ts', import.meta.url))
const file = JSON.parse(readFileSync(new URL('../test/vectors/cron.json', import.meta.url), 'utf8')) as {
  vectors: Vector[]
  must_reject: { expr: string }[]
}

function batch(lines: object[]): Answer[] {
  const input = lines.map(line => `${JSON.stringify(line)}\n`).join('')
  const { stdout } = spawnSync(process.execPath, [program, 'next', '--batch'], { input, encoding: 'utf8' })
  return stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Answer)
}

const ms = (times: (string | undefined)[] = []) => times.map(time => Date.parse(time ?? ''))

function agrees(vector: Vector, { fires, error }: Answer): boolean {
  if (vector.kind === 'unsatisfiable') return error !== undefined
  if (error) return vector.class === 'extension' && error.message !== ''
  if (vector.kind === 'no-match')
    return !ms(fires.slice(0, 1)).includes(Date.parse(vector.must_not_fire_at ?? ''))
  return ms(fires.slice(0, vector.next.length)).join() === ms(vector.next).join()
}

/** docs/adr/0001-own-cron-parser.md: `0-23/2` is an interval line here. */
const vectors = file.vectors.filter(({ id }) => id !== 'v0575')

test('every vector, in one batch', () => {
  const answers = batch(
    vectors.map(({ expr, expr_norm, tz, from, next }) => ({
      schedule: expr_norm ?? expr,
      timeZone: tz,
      after: from,
      count: Math.max(1, next.length),
    })),
  )
  expect(answers).toHaveLength(vectors.length)
  const wrong = vectors
    .filter((vector, i) => !agrees(vector, answers[i] as Answer))
    .map(({ id, expr }) => `${id} ${expr}`)
  expect(wrong).toEqual([])
})

test('everything that must be rejected is, with a field and a message', () => {
  const answers = batch(
    file.must_reject.map(({ expr }) => ({ schedule: expr, after: '2026-01-01T00:00:00Z' })),
  )
  const accepted = file.must_reject.filter(
    (_, i) => answers[i]?.error?.field !== 'schedule' || answers[i]?.error?.message === '',
  )
  expect(accepted).toEqual([])
})
