import { spawnSync } from 'node:child_process'
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import { eventually } from '../fault/eventually.ts'
import { type Up, upOn } from '../fixtures/up.ts'

/** `shellcron up` as a user runs it: one machine, a directory, Ctrl-C. */
const program = fileURLToPath(new URL('../../bin/shellcron', import.meta.url))
let up: Up | undefined
afterEach(async () => {
  await up?.remove()
  up = undefined
})

const job = (name: string, script: string, over = '') => `apiVersion: shellcron.dev/v1alpha1
kind: ShellCronJob
metadata: { name: ${name} }
spec:
  schedule: "* * * * * *"
${over}  template:
    spec:
      host: {}
      script: ${JSON.stringify(script)}
`

/** Processes with the directory in their command line. */
async function processesOf(directory: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue
    const line = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')
    if (line.includes(directory)) found.push(`${pid} ${line}`)
  }
  return found
}

test('the quickstart shows three jobs with outcome and output, and Ctrl-C leaves nothing running', async () => {
  up = await upOn('examples/quickstart')
  const { outcomes } = up
  for (const name of ['heartbeat', 'disk', 'flaky']) {
    const result = await eventually(
      `${name} runs`,
      () => outcomes().find(result => result.name === name),
      60_000,
    )
    expect(result.outcome).toBe(name === 'flaky' ? 'Failed' : 'Succeeded')
    expect(result.tail).toMatch(
      name === 'heartbeat' ? /^alive on here/ : name === 'disk' ? /used/ : /no luck/,
    )
  }
  expect(up.problems()).toEqual([])
  expect(await up.interrupt()).toBe(0)
  expect(await processesOf(up.directory)).toEqual([])
})

/** The inodes of the TCP sockets of this machine that listen. */
async function listening(): Promise<Set<string>> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map(name => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')),
  )
  const rows = tables.flatMap(table => table.split('\n').map(row => row.trim().split(/\s+/)))
  return new Set(rows.flatMap(row => (row[3] === '0A' ? [row[9] ?? ''] : [])))
}

async function listensOnPort(pid: string): Promise<boolean> {
  const inodes = await listening()
  const folder = `/proc/${pid}/fd`
  const open = await Promise.all(
    (await readdir(folder)).map(fd => readlink(join(folder, fd)).catch(() => '')),
  )
  return open.some(target => inodes.has(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? ''))
}

test('operator and agent listen on no port: nobody can take one while the operator restarts', async () => {
  up = await upOn(undefined)
  const { outcomes, directory } = up
  await writeFile(join(directory, 'a.yaml'), job('a', 'echo said'))
  await eventually('it runs', () => outcomes().length > 0, 60_000)
  const pidOf = async (part: string) =>
    (await processesOf(directory)).find(line => line.includes(` ${part} --endpoints`))?.split(' ')[0] ?? ''
  for (const part of ['operator', 'agent']) expect(await listensOnPort(await pidOf(part))).toBe(false)

  const before = await pidOf('operator')
  process.kill(Number(before), 'SIGKILL')
  await eventually('the operator is back', async () => !['', before].includes(await pidOf('operator')))
  const socket = join(directory, '.shellcron/ingest.sock')
  const logs = () =>
    spawnSync(program, ['logs', 'a', '--state', join(directory, '.shellcron')], { encoding: 'utf8' })
  await eventually('it takes output again', async () => {
    return (await stat(socket).catch(() => undefined))?.isSocket() && logs().stdout === 'said\n'
  })
})

test.runIf(process.getuid?.() === 0)(
  "another user's file does not run, and says why; it runs once that user is trusted",
  async () => {
    up = await upOn(undefined)
    const { outcomes, problems, directory } = up
    const foreign = join(directory, 'foreign.yaml')
    // Renamed into place, so that it never belongs to root there.
    await writeFile(`${foreign}.tmp`, job('foreign', 'id -u'))
    await chown(`${foreign}.tmp`, 65_534, 65_534)
    await rename(`${foreign}.tmp`, foreign)
    await writeFile(join(directory, 'own.yaml'), job('own', 'true'))
    const ran = (name: string) => outcomes().some(result => result.name === name)
    await eventually('the own file runs', () => ran('own'), 60_000)
    await eventually('the problem is reported', () =>
      problems().some(line => /foreign\.yaml: is not used: .*chown.*--trust-owner nobody/.test(line)),
    )
    expect(ran('foreign')).toBe(false)
    expect(await up.interrupt()).toBe(0)
    await up.start(['--trust-owner', 'nobody'])
    await eventually('it runs', () => ran('foreign'), 60_000)
  },
)

test('an added or changed file is applied at once; an invalid one is reported, and the others continue', async () => {
  up = await upOn(undefined)
  const { outcomes, problems, directory } = up
  await writeFile(join(directory, 'a.yaml'), job('a', 'echo one'))
  await eventually(
    'a runs',
    () => outcomes().some(({ name, tail }) => name === 'a' && tail === 'one\n'),
    60_000,
  )

  await writeFile(join(directory, 'a.yaml'), job('a', 'echo two'))
  const edited = Date.now()
  const second = await eventually('its edit runs', () => outcomes().find(({ tail }) => tail === 'two\n'))
  expect((second.startedAt ?? 0) - edited).toBeLessThan(10_000)

  await writeFile(join(directory, 'b.yaml'), job('b', 'true').replace('schedule', 'schedul'))
  await eventually('the problem is reported', () => problems().some(line => /b\.yaml:5.*schedul/.test(line)))
  await writeFile(join(directory, 'c.yaml'), job('c', 'true').replace('* * * * * *', '61 * * * *'))
  await eventually('the cron line is reported', () =>
    problems().some(line => /default\/c: .*minute 61/.test(line)),
  )
  const before = outcomes().length
  await eventually('the others continue', () => outcomes().length > before + 1)

  await rm(join(directory, 'a.yaml'))
  await eventually('a is gone', async () => {
    const seen = outcomes().length
    await systemClock.sleep(2_500)
    return outcomes().length === seen
  })
})

test('times that were missed while `up` did not run are caught up at the next start, once each', async () => {
  up = await upOn(undefined)
  const { outcomes, directory } = up
  await writeFile(
    join(directory, 'a.yaml'),
    job('a', 'echo $SHELLCRON_RUN_ID >> ran', '  catchUp: All\n').replace(
      'host: {}',
      `host: {}\n      workingDir: ${directory}`,
    ),
  )
  await eventually('it runs', () => outcomes().length > 1, 60_000)
  expect(await up.interrupt()).toBe(0)
  const stopped = outcomes().length
  await systemClock.sleep(4_000)
  await up.start()
  await eventually('it has caught up', () => outcomes().length > stopped + 6, 60_000)
  await up.interrupt()
  const times = outcomes()
    .filter(({ final }) => final)
    .map(({ time }) => time)
    .sort((a, b) => a - b)
  times.forEach((time, i) => expect(time - (times[i - 1] ?? time - 1_000)).toBe(1_000))
  const ran = (await readFile(join(directory, 'ran'), 'utf8')).trim().split('\n')
  expect(new Set(ran).size).toBe(ran.length)
})

test('what was removed, edited or suspended while `up` was down does not run at the next start', async () => {
  up = await upOn(undefined)
  const { outcomes, directory } = up
  const names = ['removed', 'edited', 'suspended', 'kept']
  const write = (name: string, script: string, over = '') =>
    writeFile(join(directory, `${name}.yaml`), job(name, script, over))
  for (const name of names) await write(name, 'echo old')
  const hasRun = (name: string) => outcomes().some(each => each.name === name && each.attempt > 0)
  await eventually('all run', () => names.every(hasRun), 60_000)
  expect(await up.interrupt()).toBe(0)

  await rm(join(directory, 'removed.yaml'))
  await write('edited', 'echo new')
  await write('suspended', 'echo old', '  suspend: true\n')
  await write('added', 'echo added')
  const restartedAt = Date.now()
  await up.start()
  await eventually('the new job runs', () => hasRun('added'), 60_000)
  const later = () => outcomes().filter(({ time }) => time >= restartedAt)
  await eventually('the edited job runs', () => later().some(({ tail }) => tail === 'new\n'), 60_000)
  await up.interrupt()
  const ran = later().filter(({ attempt }) => attempt > 0)
  expect(ran.filter(({ name }) => name === 'removed' || name === 'suspended')).toEqual([])
  expect(ran.filter(({ name, tail }) => name === 'edited' && tail === 'old\n')).toEqual([])
  expect(outcomes().find(({ name }) => name === 'added')).toMatchObject({ outcome: 'Succeeded' })
}, 180_000)

test('a run that ignores Ctrl-C is killed after ten seconds, and recorded as such', async () => {
  up = await upOn(undefined)
  const { outcomes, directory } = up
  await writeFile(
    join(directory, 'a.yaml'),
    job('a', 'touch started; exec sleep 300', '  concurrencyPolicy: Forbid\n').replace(
      'host: {}',
      `host: {}\n      workingDir: ${directory}`,
    ),
  )
  await eventually('it runs', async () => (await readdir(directory)).includes('started'), 60_000)
  const code = await up.interrupt()
  // Times that came due meanwhile did not run: they are Skipped, or Missed because no agent claims any more.
  const ran = outcomes().filter(({ attempt }) => attempt > 0)
  expect({ code, ran, said: up.lines() }).toMatchObject({
    code: 0,
    ran: [{ outcome: 'Killed', reason: 'AgentStopped' }],
  })
  expect(await processesOf(directory)).toEqual([])
}, 120_000)

test('Ctrl-C during the start ends it without a stack trace and leaves nothing running', async () => {
  up = await upOn(undefined)
  const { directory } = up
  await eventually('it starts', async () => (await readdir(directory)).includes('.shellcron'))
  expect(await up.interrupt()).toBe(0)
  expect(up.lines().filter(line => /^\s+at |Error/.test(line))).toEqual([])
  expect(up.lines().join('\n')).toMatch(/Stopped during the start|Stopping/)
  expect(await processesOf(directory)).toEqual([])
})

test('--retention-bytes, --runtime-endpoint and --pids-limit reach the operator, the agent and the launcher', async () => {
  const endpoint = 'unix:///nowhere/x.sock'
  up = await upOn(undefined, [
    '--retention-bytes',
    '1Gi',
    '--runtime-endpoint',
    endpoint,
    '--pids-limit',
    '200',
  ])
  const { directory } = up
  await eventually(
    'both run with them',
    async () => {
      const lines = await processesOf(directory)
      return (
        lines.some(line => / operator .*--retention-bytes 1Gi/.test(line)) &&
        lines.some(line => / agent .*--runtime-endpoint unix:\/\/\/nowhere\/x\.sock/.test(line)) &&
        lines.some(line => /launcher\S* --pids-limit 200/.test(line))
      )
    },
    60_000,
  )
  await up.interrupt()
})

test('a busy port, a missing directory and a missing etcd give a clear message', async () => {
  const busy = createServer()
  await new Promise<void>(resolve => busy.listen(0, '127.0.0.1', resolve))
  const { port } = busy.address() as { port: number }
  up = await upOn(undefined, ['--etcd-port', String(port)])
  expect((await up.child.ended).code).toBe(2)
  expect(up.lines().at(-1)).toBe(
    `shellcron: --etcd-port: ${port} is in use; name another port, or leave the flag out to take a free one`,
  )
  busy.close()

  await up.start(['--etcd-port', 'x'])
  expect((await up.child.ended).code).toBe(2)
  await up.remove()

  const bare = await mkdtemp(join(tmpdir(), 'shellcron-bare-'))
  up = await upOn(undefined, [], {
    env: { ...process.env, XDG_CACHE_HOME: bare, PATH: await bareTools(bare) },
  })
  expect((await up.child.ended).code).toBe(2)
  expect(up.lines().join('\n')).toMatch(/shellcron: etcd: not found.*install etcd/)
  await rm(bare, { recursive: true })
})

/** A folder with the programs that bin/shellcron needs, but without etcd, Go and apt-get. */
async function bareTools(folder: string): Promise<string> {
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await symlink(process.execPath, join(bin, 'node'))
  for (const tool of ['sh', 'dirname', 'readlink', 'uname'])
    await symlink(`/usr/bin/${tool}`, join(bin, tool))
  return bin
}

test('commands get the limits of open files that up was started with, or those of host.limits', async () => {
  const release = await mkdtemp(join(tmpdir(), 'shellcron-limited-'))
  onTestFinished(() => rm(release, { recursive: true }))
  await mkdir(join(release, 'bin'))
  const program = join(import.meta.dirname, '../../bin/shellcron')
  const limit = `#!/bin/sh\nulimit -Sn 900; ulimit -Hn 2000; exec ${program} "$@"\n`
  await writeFile(join(release, 'bin', 'shellcron'), limit, { mode: 0o755 })
  up = await upOn(undefined, [], { release })
  const { outcomes, directory } = up
  const script = 'echo $(ulimit -Sn) $(ulimit -Hn)'
  await writeFile(join(directory, 'plain.yaml'), job('plain', script))
  const own = job('own', script).replace('host: {}', 'host: { limits: { nofile: 1200 } }')
  await writeFile(join(directory, 'own.yaml'), own)
  const tailOf = (name: string) =>
    eventually(`${name} runs`, () => outcomes().find(result => result.name === name)?.tail, 60_000)
  expect(await tailOf('plain')).toBe('900 2000\n')
  expect(await tailOf('own')).toBe('1200 1200\n')
})

test('a part that refuses its settings ends it, with the message of the part', async () => {
  up = await upOn(undefined)
  const { directory, child } = up
  const socket = join(directory, '.shellcron', 'operator.sock')
  await eventually('it listens', () => stat(socket).catch(() => undefined), 60_000)
  await chmod(directory, 0o777)
  const operator = (await processesOf(directory)).find(line => line.includes(' operator '))
  process.kill(Number.parseInt(operator ?? '', 10), 'SIGKILL')
  expect((await child.ended).code).toBe(2)
  expect(up.lines().at(-1)).toMatch(
    // Whichever is started again three times first.
    /^shellcron: (operator|agent): refuses its settings: --(directory|state): every user can write /,
  )
  expect(await processesOf(directory)).toEqual([])
})
