import { expect, test } from 'vitest'
import { Unavailable } from '../../platform/errors.ts'
import { createAdmission } from './admission.ts'

test('requests of one name go in one after another, in order, and other names do not wait for them', async () => {
  const gate = createAdmission({ waiting: 10 })
  const inside: string[] = []
  const enter = async (name: string, id: string) => {
    const leave = await gate.enter(name)
    inside.push(id)
    return leave
  }
  const first = await enter('a', 'a1')
  const second = enter('a', 'a2')
  const third = enter('a', 'a3')
  const other = await enter('b', 'b1')
  expect(inside).toEqual(['a1', 'b1'])
  first()
  ;(await second)()
  ;(await third)()
  other()
  expect(inside).toEqual(['a1', 'b1', 'a2', 'a3'])
})

test('only requests of a name that has too many waiting ones are rejected', async () => {
  const gate = createAdmission({ waiting: 1 })
  const leave = await gate.enter('a')
  const waiting = gate.enter('a')
  await expect(gate.enter('a')).rejects.toThrow(Unavailable)
  const other = await gate.enter('b')
  leave()
  ;(await waiting)()
  other()
  ;(await gate.enter('a'))()
})
