import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { connectLauncher } from '../../../agent/launcher/client.ts'
import { readMachine } from '../../../cli/up/config.ts'
import { findEtcd } from '../../../cli/up/etcd-binary.ts'
import { startEtcdServer } from '../../../cli/up/etcd-server.ts'
import { certifyEtcd, enrolLocal } from '../../../operator/local-setup.ts'
import { type Child, startChild } from '../../../platform/child-process.ts'
import { bytesOf, isAlive } from '../../contract/launcher/launcher.ts'
import { eventually } from '../../fault/eventually.ts'

/** Operator and agent as separate processes, as on servers: the runs of an agent that restarts. */
const program = fileURLToPath(new URL('../../../bin/shellcron', import.meta.url))
const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

async function fleet() {
  const dir = await mkdtemp(join(tmpdir(), 'shellcron-agent-'))
  ends.push(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  const state = join(dir, 'state')
  const identity = join(dir, 'identity')
  await enrolLocal({ stateDir: state, name: 'one', pool: 'default', dir: identity })
  const tls = await certifyEtcd({ stateDir: state, names: ['localhost', '127.0.0.1'] })
  const files = { ca: join(dir, 'ca.crt'), cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key') }
  for (const part of ['ca', 'cert', 'key'] as const) await writeFile(files[part], tls[part], { mode: 0o600 })
  const { path: binary } = await findEtcd({ machine: readMachine(), onLine: () => {} })
  const etcd = await startEtcdServer({ binary, dir: join(dir, 'etcd'), tls: files })
  ends.push(() => etcd.stop())
  const common = ['--endpoints', etcd.endpoint, '--log-level', 'warn']
  const child = async (args: string[]): Promise<Child> => {
    const started = await startChild({ command: program, args: [...args, ...common] })
    ends.push(() => started.stop(5_000))
    return started
  }
  await writeFile(
    join(dir, 'pool.yaml'),
    'apiVersion: shellcron.dev/v1alpha1\nkind: ShellPool\nmetadata: { name: default }\nspec: { sessionTTLSeconds: 10 }\n',
  )
  await child(['operator', '--directory', dir, '--state', state])
  const agentState = join(dir, 'agent')
  ends.push(async () => {
    const launcher = await connectLauncher(join(agentState, 'launcher.sock')).catch(() => undefined)
    await launcher?.stop(false)
  })
  const { openSqliteLogStore } = await import('../../../store/log/sqlite/store.ts')
  return {
    dir,
    /** A run's results in the log store, if there are any. */
    async recorded(name: string) {
      const store = openSqliteLogStore(join(state, 'shellcron.db'))
      const { rows } = await store.history({ name, limit: 10 })
      await store.close()
      return rows.length > 0 && rows
    },
    /** A run's stdout, from its launcher. */
    async output(name: string) {
      const launcher = await connectLauncher(join(agentState, 'launcher.sock'))
      const run = (await launcher.runs()).find(({ id }) => id.includes(`.${name}.`))
      const { bytes } = await launcher.read(run?.id ?? '', { offset: 0, length: 1_000_000 })
      launcher.close()
      return bytesOf(bytes, 'stdout').toString()
    },
    agent: (...args: string[]) =>
      child(['agent', '--identity', identity, '--name', 'one', '--state', agentState, ...args]),
    /** Whether the agent has or had a session. */
    hasSession: () =>
      access(join(agentState, 'session.json')).then(
        () => true,
        () => false,
      ),
    stopEtcd: () => etcd.stop(),
  }
}

const job = (dir: string) => `apiVersion: shellcron.dev/v1alpha1
kind: ShellRun
metadata: { name: long }
spec:
  template:
    spec:
      host: {}
      workingDir: ${dir}
      script: echo started >> ran; sleep 4; echo ended >> ran
`

test('SIGTERM ends an agent at once, its run continues, and the next agent adopts and records the run', async () => {
  const { dir, agent, recorded } = await fleet()
  const first = await agent()
  await writeFile(join(dir, 'run.yaml'), job(dir))
  const ran = async () => readFile(join(dir, 'ran'), 'utf8').catch(() => '')
  await eventually('it runs', async () => (await ran()) === 'started\n', 60_000)
  first.signal('SIGTERM')
  expect((await first.ended).code).toBe(0)
  expect(await ran()).toBe('started\n')
  const second = await agent()
  await eventually('it ends', async () => (await ran()) === 'started\nended\n')
  const outcomes = await eventually('it is recorded', () => recorded('long'))
  expect(outcomes).toMatchObject([{ outcome: 'Succeeded', agent: 'one', attempt: 1, final: true }])
  expect(second.ending()).toBeUndefined()
})

const LINES = 40
const writer = (dir: string) => `apiVersion: shellcron.dev/v1alpha1
kind: ShellRun
metadata: { name: writer }
spec:
  template:
    spec:
      host: {}
      workingDir: ${dir}
      script: |
        n=0
        while [ $n -lt ${LINES} ]; do n=$((n+1)); echo $n; echo $n >> lines; sleep 0.1; done
        exit 7
`
const sleeper = (dir: string) => `apiVersion: shellcron.dev/v1alpha1
kind: ShellRun
metadata: { name: sleeper }
spec: { template: { spec: { host: {}, workingDir: "${dir}", script: "echo $$ >> pids; exec sleep 600" } } }
`

test('an agent that is paused and then killed loses no exit code and no output; an agent that hangs is fenced', async () => {
  const { dir, agent, recorded, output } = await fleet()
  const first = await agent()
  await writeFile(join(dir, 'run.yaml'), writer(dir))
  const lines = async () =>
    (await readFile(join(dir, 'lines'), 'utf8').catch(() => '')).split('\n').length - 1
  await eventually('it writes', async () => (await lines()) > 2, 60_000)
  first.signal('SIGSTOP')
  const seen = await lines()
  await eventually('it writes on', async () => (await lines()) > seen + 5)
  first.signal('SIGCONT')
  first.signal('SIGKILL')
  await first.ended
  const second = await agent()
  expect(await eventually('it is recorded', () => recorded('writer'))).toMatchObject([
    { outcome: 'Failed', exitCode: 7, attempt: 1, final: true },
  ])
  expect(await lines()).toBe(LINES)

  await writeFile(join(dir, 'second.yaml'), sleeper(dir))
  const pids = async () =>
    (await readFile(join(dir, 'pids'), 'utf8').catch(() => '')).split('\n').filter(Boolean).map(Number)
  const pid = await eventually('it sleeps', async () => (await pids())[0])
  second.signal('SIGSTOP')
  await eventually('the launcher has killed it', () => !isAlive(pid))
  second.signal('SIGCONT')
  expect(await eventually('it is recorded', () => recorded('sleeper'))).toMatchObject([
    { outcome: 'Lost', reason: 'Fenced', attempt: 1, final: true },
  ])
  expect(await pids()).toHaveLength(1)
  // Its launcher accepts one agent only.
  second.signal('SIGKILL')
  await second.ended
  expect(await output('writer')).toBe(Array.from({ length: LINES }, (_, n) => `${n + 1}\n`).join(''))
})

test('a second agent on the same state directory is refused with a clear message', async () => {
  const { agent, hasSession } = await fleet()
  await agent()
  await eventually('the first one has it', hasSession, 60_000)
  const second = await agent()
  expect((await second.ended).code).toBe(2)
  expect(second.tail()).toMatch(/^shellcron: --state: .* is in use by another agent/)
})

test('an agent that drains ends even if etcd is down', async () => {
  const { agent, hasSession, stopEtcd } = await fleet()
  const only = await agent('--drain-seconds', '1')
  await eventually('it has a session', hasSession, 60_000)
  await stopEtcd()
  only.signal('SIGTERM')
  await eventually('it has ended', () => only.ending(), 60_000)
})

test.each(['agent', 'operator'])('the %s ends on SIGTERM even if etcd is unreachable', async part => {
  const dir = await mkdtemp(join(tmpdir(), 'shellcron-alone-'))
  ends.push(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  const [state, identity] = [join(dir, 'state'), join(dir, 'identity')]
  await enrolLocal({ stateDir: state, name: 'one', pool: 'default', dir: identity })
  const own = {
    agent: ['--identity', identity, '--name', 'one', '--state', join(dir, 'agent')],
    operator: ['--directory', dir, '--state', state],
  }[part]
  const lines: string[] = []
  const alone = await startChild({
    command: program,
    args: [part, ...(own ?? []), '--endpoints', 'https://127.0.0.1:1'],
    onLine: line => void lines.push(line),
  })
  ends.push(() => alone.stop(0))
  await eventually('it logs why it waits', () => lines.some(line => line.includes('no etcd member')))
  alone.signal('SIGTERM')
  expect(await alone.ended).toEqual({ code: 0, signal: null })
})
