import { expect, test } from 'vitest'
import { Unavailable } from '../../platform/errors.ts'
import { createAdmission } from './admission.ts'

test('the slots are filled in order, with one request of each name', async () => {
  const gate = createAdmission({ slots: 2, waiting: 10 })
  const inside: string[] = []
  const enter = async (name: string, id: string) => {
    const leave = await gate.enter(name)
    inside.push(id)
    return leave
  }
  const first = await enter('a', 'a1')
  const again = enter('a', 'a2')
  const other = await enter('b', 'b1')
  const third = enter('c', 'c1')
  expect(inside).toEqual(['a1', 'b1'])
  other()
  const leaveThird = await third
  expect(inside).toEqual(['a1', 'b1', 'c1'])
  first()
  ;(await again)()
  leaveThird()
  expect(inside).toEqual(['a1', 'b1', 'c1', 'a2'])
})

test('a request beyond the limit of waiting ones is rejected', async () => {
  const gate = createAdmission({ slots: 1, waiting: 1 })
  const leave = await gate.enter('a')
  const waiting = gate.enter('b')
  await expect(gate.enter('c')).rejects.toThrow(Unavailable)
  leave()
  ;(await waiting)()
  ;(await gate.enter('c'))()
})
