import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../fault/eventually.ts'

const SCRIPT = `
  const { startKubernetes } = await import(${JSON.stringify(new URL('./kubernetes.ts', import.meta.url).href)})
  const { adminKubeconfig, etcd } = await startKubernetes()
  console.log(JSON.stringify([adminKubeconfig, etcd.files.ca]))
  process.stdin.resume()`

test('nothing is left of a control plane whose process was killed: no process, no directory', async () => {
  const owner = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = (await once(owner.stdout, 'data')) as [Buffer]
  const dirs = (JSON.parse(String(line)) as string[]).map(dirname)
  expect(dirs.map(dir => processesIn(dir).length > 0)).toEqual([true, true])

  owner.kill('SIGKILL')

  for (const dir of dirs) {
    await eventually(`no process of ${dir}`, () => processesIn(dir).length === 0)
    await eventually(`no ${dir}`, () => !existsSync(dir))
  }
})

/** Command lines of processes that name this directory. */
function processesIn(dir: string): string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(commandLineOf)
    .filter(line => line.includes(dir))
}

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
