import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../fault/eventually.ts'
import { dockerPath } from './docker.ts'

const canRun = process.getuid?.() === 0 && existsSync('/bin/busybox')
const url = (name: string) => JSON.stringify(new URL(name, import.meta.url).href)

const OWNERS = {
  '/usr/bin/containerd': `
  const { startContainerd } = await import(${url('./containerd.ts')})
  const runtime = await startContainerd()
  await runtime.pod({ name: 'left' })`,
  '/usr/bin/podman': `
  const { startPodman } = await import(${url('./podman.ts')})
  const runtime = await startPodman()
  await runtime.run({ name: 'left' })`,
  [dockerPath()]: `
  const { startDocker } = await import(${url('./docker.ts')})
  const runtime = await startDocker()
  await runtime.run({ name: 'left' })`,
}
const installed = Object.entries(OWNERS).filter(([program]) => canRun && existsSync(program))

const UNTIL_TOLD = `
  console.log(runtime.dir)
  process.stdin.resume()
  process.stdin.once('end', () => runtime.stop())`

const ends = ['SIGKILL', 'end'] as const
const cases = installed.flatMap(([program, script]) => ends.map(how => ({ program, script, how })))

test.each(cases)('$program leaves nothing behind after $how', async ({ script, how }) => {
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script + UNTIL_TOLD], {
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

/** Command lines that contain this directory. */
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

/** Cgroup hierarchies with a group of this name. */
function groupsOf(dir: string): string[] {
  return readdirSync('/sys/fs/cgroup').filter(name => existsSync(`/sys/fs/cgroup/${name}/${basename(dir)}`))
}
