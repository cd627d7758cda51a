import { expect, test } from 'vitest'
import { createSemaphore } from './semaphore.ts'

const never = new AbortController().signal

function work() {
  const begun: string[] = []
  const ends = new Map<string, (fails?: Error) => void>()
  const of = (name: string) => () => {
    begun.push(name)
    return new Promise<string>((resolve, reject) => {
      ends.set(name, fails => (fails ? reject(fails) : resolve(name)))
    })
  }
  return { begun, of, end: (name: string, fails?: Error) => ends.get(name)?.(fails) }
}

test('at most that many tasks run at a time, the others in order, even if one fails', async () => {
  const { begun, of, end } = work()
  const semaphore = createSemaphore(2)
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(name => semaphore.run(of(name), never))
  await Promise.resolve()
  expect(begun).toEqual(['a', 'b'])
  end('b', new Error('broken'))
  await expect(b).rejects.toThrow('broken')
  expect(begun).toEqual(['a', 'b', 'c'])
  end('a')
  expect(await a).toBe('a')
  expect(begun).toEqual(['a', 'b', 'c', 'd'])
  end('c')
  end('d')
  expect(await Promise.all([c, d])).toEqual(['c', 'd'])
})

test('work whose signal aborts while it waits never starts, and blocks no other', async () => {
  const { begun, of, end } = work()
  const semaphore = createSemaphore(1)
  const given = new AbortController()
  const first = semaphore.run(of('first'), never)
  const gone = semaphore.run(of('gone'), given.signal)
  const last = semaphore.run(of('last'), never)
  given.abort(new Error('no more'))
  await expect(gone).rejects.toThrow('no more')
  await expect(semaphore.run(of('late'), given.signal)).rejects.toThrow('no more')
  end('first')
  await first
  end('last')
  await last
  expect(begun).toEqual(['first', 'last'])
})
