import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectLauncher } from '../../agent/launcher/client.ts'
import { readMachine } from '../../cli/up/config.ts'
import { findEtcd } from '../../cli/up/etcd-binary.ts'
import { startEtcdServer } from '../../cli/up/etcd-server.ts'
import { certifyEtcd, enrolLocal } from '../../operator/main.ts'
import { type Child, startChild } from '../../platform/child-process.ts'
import { freePorts } from '../../platform/free-ports.ts'
import { eventually } from '../fault/eventually.ts'
import { type Postgres, startPostgres } from '../servers/postgres.ts'

/** Operator and agent as separate processes, with the history in a database. */
const program = fileURLToPath(new URL('../../bin/shellcron', import.meta.url))
const ends: (() => Promise<unknown>)[] = []
let postgres: Postgres
let dir: string
let operator: { child: Child; state: string }
let startOperator: (state: string) => Promise<void>
/** The logs of operators and agents. */
const said: string[] = []

beforeAll(async () => {
  postgres = await startPostgres()
  ends.push(() => postgres.remove())
  const url = await postgres.database('history')
  dir = await mkdtemp(join(tmpdir(), 'shellcron-history-'))
  ends.push(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  const [state, identity, agentState] = [join(dir, 'state'), join(dir, 'identity'), join(dir, 'agent')]
  await mkdir(join(dir, 'objects'))
  await enrolLocal({ stateDir: state, name: 'one', pool: 'default', dir: identity })
  const endpoint = await etcdFor(state)
  const [port = 0] = await freePorts(1)
  const child = async (args: string[]): Promise<Child> => {
    const common = ['--endpoints', endpoint, '--log-level', 'debug']
    const onLine = (line: string) => void said.push(line)
    const started = await startChild({ command: program, args: [...args, ...common], onLine })
    ends.push(() => started.stop(5_000))
    return started
  }
  startOperator = async stateDir => {
    const where = ['--directory', join(dir, 'objects'), '--state', stateDir, '--listen', `127.0.0.1:${port}`]
    const store = ['--log-store', url, '--log-store-password-file', postgres.passwordFile]
    operator = { child: await child(['operator', ...where, ...store]), state: stateDir }
  }
  await startOperator(state)
  ends.push(async () => {
    const launcher = await connectLauncher(join(agentState, 'launcher.sock')).catch(() => undefined)
    await launcher?.stop(false)
  })
  const to = ['--operator', `https://127.0.0.1:${port}`]
  await child(['agent', '--identity', identity, '--name', 'one', '--state', agentState, ...to])
})
afterAll(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

async function etcdFor(stateDir: string): Promise<string> {
  const tls = await certifyEtcd({ stateDir, names: ['localhost', '127.0.0.1'] })
  const files = { ca: join(dir, 'ca.crt'), cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key') }
  for (const part of ['ca', 'cert', 'key'] as const) await writeFile(files[part], tls[part], { mode: 0o600 })
  const { path: binary } = await findEtcd({ machine: readMachine(), onLine: () => {} })
  const etcd = await startEtcdServer({ binary, dir: join(dir, 'etcd'), tls: files })
  ends.push(() => etcd.stop())
  return etcd.endpoint
}

async function run(name: string, script: string): Promise<void> {
  const template = { spec: { host: {}, script } }
  const object = { apiVersion: 'shellcron.dev/v1alpha1', kind: 'ShellRun', metadata: { name } }
  await writeFile(join(dir, 'objects', `${name}.yaml`), JSON.stringify({ ...object, spec: { template } }))
}

async function shellcron(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, [...args, '--state', operator.state])
  return stdout
}

/** What the operator shows, once it answers. */
const shown = (what: RegExp, ...args: string[]) =>
  eventually(
    `${args.join(' ')} shows ${what}`,
    async () => {
      const text = await shellcron(...args).catch(() => '')
      return what.test(text) && text
    },
    90_000,
  )

test('history and logs show what ran', async () => {
  await run('first', 'echo out; echo err >&2; exit 3')
  await shown(/first .*Failed/, 'history')
  expect(await shown(/out/, 'logs', 'first', '--shell-run')).toBe('out\n')
  const [row] = await postgres.ask(`SELECT outcome, exit_code FROM results WHERE name = 'first'`, 'history')
  expect(row).toEqual({ outcome: 'Failed', exit_code: '3' })
})

test('runs during an outage of the database are stored when it returns', async () => {
  await postgres.kill()
  await run('second', `echo meanwhile; touch ${join(dir, 'ran')}`)
  await eventually('it has run', () =>
    readFile(join(dir, 'ran')).then(
      () => true,
      () => false,
    ),
  )
  await postgres.start()
  await shown(/second .*Succeeded/, 'history')
  expect(await shown(/meanwhile/, 'logs', 'second', '--shell-run')).toBe('meanwhile\n')
  expect(operator.child.ending()).toBeUndefined()
})

test('another operator that has only the keys shows the same history', async () => {
  await operator.child.stop()
  const other = join(dir, 'other')
  await cp(join(operator.state, 'keys'), join(other, 'keys'), { recursive: true })
  await startOperator(other)
  const history = await shown(/first/, 'history')
  expect(history).toMatch(/second/)
  expect(await shown(/out/, 'logs', 'first', '--shell-run')).toBe('out\n')
})

test('an operator that is older than the database says so and exits', async () => {
  await postgres.database('newer')
  await postgres.ask('CREATE TABLE schema_version AS SELECT 1000::bigint AS version', 'newer')
  const [directory, state] = [join(dir, 'objects'), join(dir, 'newer')]
  const store = `postgres://shellcron@127.0.0.1:${postgres.port}/newer`
  const args = ['--directory', directory, '--state', state, '--endpoints', 'https://127.0.0.1:1']
  const password = ['--log-store-password-file', postgres.passwordFile]
  const ended = promisify(execFile)(program, ['operator', ...args, '--log-store', store, ...password], {
    timeout: 30_000,
  })
  await expect(ended).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^shellcron: log store: the database has schema 1000.*newer/m) as string,
  })
})

test('the password is in no process list and no log', async () => {
  const secrets = [postgres.password, encodeURIComponent(postgres.password)]
  const commandLine = await readFile(`/proc/${operator.child.pid}/cmdline`, 'utf8')
  expect(commandLine).toContain('--log-store')
  for (const text of [commandLine, ...said]) for (const secret of secrets) expect(text).not.toContain(secret)
})
