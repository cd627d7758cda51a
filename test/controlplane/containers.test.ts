import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../fault/eventually.ts'

const canRun = process.getuid?.() === 0 && existsSync('/usr/bin/containerd') && existsSync('/bin/busybox')

const SCRIPT = `
  const { startContainerd } = await import(${JSON.stringify(new URL('./containerd.ts', import.meta.url).href)})
  const containerd = await startContainerd()
  await containerd.pod({ name: 'left' })
  console.log(containerd.dir)
  process.stdin.resume()
  process.stdin.once('end', () => containerd.stop())`

test.runIf(canRun).each(['SIGKILL', 'end'])('nothing is left of a containerd after %s', async how => {
  const owner = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = (await once(owner.stdout, 'data')) as [Buffer]
  const dir = String(line).trim()
  expect(processesOf(dir)).not.toBe(0)
  expect(groupsOf(dir)).not.toEqual([])

  if (how === 'SIGKILL') owner.kill('SIGKILL')
  else owner.stdin.end()

  await eventually('no process', () => processesOf(dir) === 0)
  await eventually('no directory', () => !existsSync(dir))
  await eventually('no control group', () => groupsOf(dir).length === 0)
})

/** Command lines that name this directory. */
function processesOf(dir: string): number {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name) && commandLineOf(name).includes(dir)).length
}

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

/** Hierarchies in which a group is named like it. */
function groupsOf(dir: string): string[] {
  return readdirSync('/sys/fs/cgroup').filter(name => existsSync(`/sys/fs/cgroup/${name}/${basename(dir)}`))
}
