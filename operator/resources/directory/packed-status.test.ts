import { expect, test } from 'vitest'
import { packStatus, unpackStatus } from './packed-status.ts'

test('a status is the same after it was packed, whatever it holds', () => {
  const status = { conditions: [{ type: 'Ready', message: 'Prüfung läuft 🕒' }], runs: [], activeCount: 0 }
  expect(unpackStatus(packStatus(status))).toEqual(status)
  expect(unpackStatus(packStatus({}))).toEqual({})
})

test('equal statuses give equal texts, whatever the order of their fields', () => {
  expect(packStatus({ a: 1, b: { c: 2, d: 3 } })).toBe(packStatus({ b: { d: 3, c: 2 }, a: 1 }))
})
