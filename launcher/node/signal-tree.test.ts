import { spawn } from 'node:child_process'
import { expect, test } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import { TreeSignaller } from './signal-tree.ts'

/** Where there is no /proc, or none can be read for want of descriptors, nobody is found. */
const nobody = () => []

test.each([
  ['at once', undefined],
  ['when it is spared no more', 300],
])('a command that cannot be looked up dies by its process group: %s', async (_, sparedMs) => {
  const child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' })
  const ended = new Promise(resolve => child.once('exit', (_, signal) => resolve(signal)))
  try {
    const began = systemClock.monotonic()
    const sparedUntil = sparedMs === undefined ? undefined : began + sparedMs
    const pid = child.pid ?? 0
    const root = { pid, ticks: null, mark: undefined, isGroupKnown: true, strays: new Map(), sparedUntil }
    const signaller = new TreeSignaller(systemClock, nobody)
    signaller.watch(root)
    void signaller.kill(root)
    expect(await ended).toBe('SIGKILL')
    expect(systemClock.monotonic() - began).toBeGreaterThanOrEqual(sparedMs ?? 0)
  } finally {
    child.kill('SIGKILL')
  }
})
