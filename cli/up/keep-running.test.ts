import { expect, test } from 'vitest'
import { InvalidInput } from '../../core/errors.ts'
import type { startChild } from '../../platform/child-process.ts'
import { keepRunning } from './keep-running.ts'

test('a part that cannot be started, because the machine has no room for a process, is started again', async () => {
  const ending = new AbortController()
  const said: string[] = []
  const started = Promise.withResolvers<void>()
  const start: typeof startChild = async () => {
    if (said.length === 0) throw new Error('spawn /bin/sh EAGAIN')
    started.resolve()
    const ended = Promise.resolve({ code: 0, signal: null })
    return { pid: 1, ended, ending: () => undefined, tail: () => '', signal: () => {}, stop: () => ended }
  }
  const part = keepRunning(
    { name: 'agent', args: [], say: line => void said.push(line) },
    ending.signal,
    start,
  )
  await started.promise
  ending.abort()
  await part.stop(0)
  expect(said[0]).toBe('the agent did not start: spawn /bin/sh EAGAIN; restarting it in 1 s')
})

/** A program that ends with these exit codes, one after another. */
const endingWith = (...codes: number[]): typeof startChild => {
  return async () => {
    const ended = Promise.resolve({ code: codes.shift() ?? 0, signal: null })
    const tail = () => 'a line\nshellcron: --state: it is in use\nanother line'
    return { pid: 1, ended, ending: () => undefined, tail, signal: () => {}, stop: () => ended }
  }
}

test('a part that refuses its settings three times in a row is not started again', async () => {
  const said: string[] = []
  const agent = { name: 'agent' as const, args: [], say: (line: string) => void said.push(line) }
  const part = keepRunning(agent, new AbortController().signal, endingWith(2, 2, 1, 2, 2, 2))
  const why = await part.done.catch((error: unknown) => error)
  expect(why).toBeInstanceOf(InvalidInput)
  expect(why).toMatchObject({ field: 'agent', message: 'refuses its settings: --state: it is in use' })
  expect(said).toHaveLength(5)
  await part.stop(0)
})
