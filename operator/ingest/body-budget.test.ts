import { expect, test } from 'vitest'
import { createBodyBudget } from './body-budget.ts'

function bodies(max: number) {
  const budget = createBodyBudget(max)
  const dropped: string[] = []
  const open = (name: string) => budget.open(() => dropped.push(name))
  return { open, dropped }
}

test('beyond the budget, the body that has been arriving for the longest time makes room', () => {
  const { open, dropped } = bodies(100)
  const [slow, slower] = [open('slow'), open('slower')]
  slower.add(40)
  slow.add(40)
  const fast = open('fast')
  fast.add(20)
  expect(dropped).toEqual([])
  fast.add(20)
  expect(dropped).toEqual(['slow'])
  fast.whole()
  open('next').add(60)
  expect(dropped).toEqual(['slow', 'slower'])
})

test('whole bodies stay, and a new body that finds no room is dropped', () => {
  const { open, dropped } = bodies(100)
  const whole = open('whole')
  whole.add(90)
  whole.whole()
  const next = open('next')
  next.add(20)
  expect(dropped).toEqual(['next'])
  whole.close()
  const later = open('later')
  later.add(100)
  expect(dropped).toEqual(['next'])
})
