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

test('a control plane whose owner was killed leaves no process and no directory', async () => {
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

const POSTGRES = `
  const { startPostgres } = await import(${JSON.stringify(new URL('./postgres.ts', import.meta.url).href)})
  const { passwordFile, ask } = await startPostgres()
  const [{ pids }] = await ask("SELECT json_agg(pid) AS pids FROM pg_stat_activity WHERE backend_type <> 'client backend'")
  console.log(JSON.stringify([passwordFile, pids]))
  process.stdin.resume()`

test('a PostgreSQL server whose owner was killed leaves nothing behind', async () => {
  const owner = spawn(process.execPath, ['--input-type=module', '-e', POSTGRES], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = (await once(owner.stdout, 'data')) as [Buffer]
  const [passwordFile, pids] = JSON.parse(String(line)) as [string, number[]]
  const dir = dirname(passwordFile)
  const workers = () => pids.filter(pid => commandLineOf(String(pid)).startsWith('postgres: '))
  expect(processesIn(dir)).not.toEqual([])
  expect(workers()).toEqual(pids)

  owner.kill('SIGKILL')

  await eventually(`no process of ${dir}`, () => processesIn(dir).length === 0)
  await eventually('no worker of the server', () => workers().length === 0)
  await eventually(`no ${dir}`, () => !existsSync(dir))
})

/** Command lines of processes that contain this directory. */
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
