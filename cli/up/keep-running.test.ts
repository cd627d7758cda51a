import { expect, test } from 'vitest'
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
