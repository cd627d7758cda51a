import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { startChild, untilReady } from './child-process.ts'
import { systemClock } from './clock.ts'
import { freePorts, onFreePorts } from './free-ports.ts'

test('a child is ready when its probe says so, and stops at SIGTERM', async () => {
  const child = await startChild({ command: 'sh', args: ['-c', 'echo up; exec sleep 1000'] })
  await untilReady({ name: 'sleeper', child }, async () => child.tail().includes('up'))
  expect(await child.stop()).toEqual({ code: null, signal: 'SIGTERM' })
  expect(child.ending()).toEqual({ code: null, signal: 'SIGTERM' })
})

test('a child that ignores SIGTERM is killed after its grace period', async () => {
  const child = await startChild({
    command: 'sh',
    args: ['-c', 'trap "" TERM; echo up; while :; do sleep 1; done'],
  })
  await untilReady({ name: 'stubborn', child }, async () => child.tail().includes('up'))
  expect(await child.stop(50)).toEqual({ code: null, signal: 'SIGKILL' })
})

test('the error for a child that ends before it is ready has its last output', async () => {
  const child = await startChild({ command: 'sh', args: ['-c', 'echo no such thing >&2; exit 3'] })
  await child.ended
  await expect(untilReady({ name: 'failing', child }, async () => false)).rejects.toThrow(
    'failing ended with 3\nno such thing',
  )
})

test('a child that is not ready in time is an error', async () => {
  const child = await startChild({ command: 'sleep', args: ['1000'] })
  await expect(
    untilReady({ name: 'slow', child }, () => Promise.reject(new Error('refused')), { withinMs: 100 }),
  ).rejects.toThrow('slow is not ready after 100 ms (refused)')
  await child.stop()
})

test('a program that does not exist is an error', async () => {
  await expect(startChild({ command: '/no/such/program', args: [] })).rejects.toThrow('ENOENT')
})

test.each(['setpriv', 'a watchdog'])('a child dies when its parent is killed: %s', async by => {
  const module = new URL('./child-process.ts', import.meta.url).href
  const script = `
    const { startChild } = await import(${JSON.stringify(module)})
    const child = await startChild({ command: 'sleep', args: ['1000'], setpriv: ${JSON.stringify(by === 'setpriv' ? '/usr/bin/setpriv' : '/none')} })
    console.log(child.pid)
    setInterval(() => {}, 1000)`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(parent.stdout, 'data')) as [Buffer]
  const pid = Number(line)
  expect(isAlive(pid)).toBe(true)

  parent.kill('SIGKILL')

  while (isAlive(pid)) await systemClock.sleep(20)
})

test('if another process takes the port before the start, another port is tried', async () => {
  const seen: number[] = []
  const server = await onFreePorts(1, async ([port = 0]) => {
    seen.push(port)
    if (seen.length === 1) throw new Error(`listen tcp 127.0.0.1:${port}: bind: address already in use`)
    const server = createServer().listen(port, '127.0.0.1')
    await once(server, 'listening')
    return server
  })
  server.close()
  expect(seen).toHaveLength(2)
})

test('free ports are distinct', async () => {
  expect(new Set(await freePorts(20)).size).toBe(20)
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
