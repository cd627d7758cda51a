import { type ChildProcess, spawn } from 'node:child_process'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../fault/eventually.ts'
import { type Up, upOn } from '../fixtures/up.ts'

/** `shellcron run`, from another terminal than `up`. */
const program = fileURLToPath(new URL('../../bin/shellcron', import.meta.url))
let up: Up

const job = (name: string, spec: object, template: object) => ({
  apiVersion: 'shellcron.dev/v1alpha1',
  kind: 'ShellCronJob',
  metadata: { name, namespace: 'ops' },
  spec: { schedule: '@yearly', ...spec, template: { spec: { host: {}, ...template } } },
})
const parameters = [{ name: 'DB', default: 'orders', enum: ['orders', 'customers'] }, { name: 'WHO' }]
const jobs = () => [
  job('dump', { parameters }, { script: 'echo "$PARAM_DB for $PARAM_WHO"' }),
  job('fails', { suspend: true }, { script: 'exit 3' }),
  job('long', {}, { script: 'touch begun; exec sleep 600', workingDir: up.directory }),
  job('shards', {}, { script: 'echo $SHELLCRON_SHARD_INDEX', target: { mode: 'Shards', shards: 3 } }),
  job('big', {}, { script: `: ${'€'.repeat(60_000)}` }),
  job(
    'blocked',
    {},
    {
      script: 'true',
      env: [{ name: 'S', valueFrom: { secretKeyRef: { name: 'absent', key: 'k' } } }],
    },
  ),
]

beforeAll(async () => {
  up = await upOn(undefined)
  for (const each of jobs())
    await writeFile(join(up.directory, `${each.metadata.name}.yaml`), JSON.stringify(each))
  await eventually(
    'they are in force',
    async () => {
      const { stderr } = await shellcron('run', 'blocked', '-n', 'ops', '--param', 'A=b')
      return stderr.includes('is not declared by')
    },
    60_000,
  )
})
afterAll(async () => {
  await up?.interrupt()
  await up?.remove()
})

interface Ran {
  code: number | null
  stdout: string
  stderr: string
}

function started(args: string[]): { child: ChildProcess; ran: Promise<Ran> } {
  const child = spawn(program, [...args, '--state', join(up.directory, '.shellcron')])
  const ended = new Promise<number | null>(resolve => child.once('close', resolve))
  const ran = Promise.all([ended, text(child.stdout), text(child.stderr)]).then(([code, stdout, stderr]) => ({
    code,
    stdout,
    stderr,
  }))
  return { child, ran }
}
const shellcron = (...args: string[]) => started(args).ran
const shellRun = async (text: string, ...args: string[]): Promise<Ran> => {
  const { child, ran } = started(['run', '-f', '-', ...args])
  child.stdin?.end(text)
  return await ran
}
const files = () => readdir(join(up.directory, '.shellcron/runs'))

test('runs a job now with parameters, and waits for its outcome', async () => {
  const given = ['--param', 'DB=customers', '--param', 'WHO=me = you']
  const { code, stdout, stderr } = await shellcron('run', 'ops/dump', ...given, '--wait')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(
    /^ops\/dump-(\w{5}): created; its run is ops\.dump-\1\.run-\w{8}\n\S+Z ops\/dump-\1 Succeeded in \d+\.\d+ s on here: customers for me = you\n$/,
  )
})

test('says how a job failed, and runs a suspended one too', async () => {
  const { code, stdout, stderr } = await shellcron('run', 'fails', '-n', 'ops', '--wait')
  expect(code).toBe(1)
  expect(stdout).toMatch(/ops\/fails-\w{5} Failed/)
  expect(stderr).toMatch(/^shellcron: ops\/fails-\w{5}: Failed: exit code 3 \(NonZeroExitCode\)\n$/)
})

test('prints the outcome of each target; --target selects some of them', async () => {
  const all = await shellcron('run', 'ops/shards', '--wait')
  expect(all.code).toBe(0)
  expect(all.stdout.match(/: \d$/gm)?.sort()).toEqual([': 0', ': 1', ': 2'])
  const one = await shellcron('run', 'ops/shards', '--target', '1', '--wait')
  expect(one.stdout.match(/: \d$/gm)).toEqual([': 1'])
})

/** Arguments, and the message that refuses them. */
const WRONG = {
  'ops/dump --param DB=all': 'spec.parameters[0].value: "all": must be one of orders, customers',
  'ops/dump --param X=1':
    'spec.parameters[0].name: parameter "X" is not declared by ShellCronJob dump; declared parameters: DB, WHO',
  'ops/dump --param DB': '--param: "DB" has no name or no "="; write NAME=VALUE',
  'ops/nothing':
    'spec.jobRef.name: ShellCronJob "nothing" does not exist in this namespace; create it or correct the name',
  'ops/shards --target 3': 'spec.targets[0]: "3": must be a shard index from 0 to 2',
  'ops/dump -n dev': '--namespace: "dev" contradicts the job "ops/dump"; name one namespace',
  '': 'run: needs a job or a file: name a job, or give a file with -f',
  'ops/dump --timeout 5s': '--timeout: has no effect without --wait; add --wait',
}

test('refuses an impossible request, and creates nothing', async () => {
  const before = await files()
  const ran = await Promise.all(
    Object.keys(WRONG).map(async line => [line, await shellcron('run', ...line.split(' ').filter(Boolean))]),
  )
  const wanted = Object.entries(WRONG).map(([line, said]) => [
    line,
    { code: 2, stdout: '', stderr: `shellcron: ${said}\n` },
  ])
  expect(Object.fromEntries(ran)).toEqual(Object.fromEntries(wanted))
  expect(await files()).toEqual(before)
})

test('refuses an invalid flag as wrong usage', async () => {
  expect((await shellcron('run', 'ops/dump', '--wait', '--timeout', 'soon')).code).toBe(2)
  expect((await shellcron('run', '--help')).stdout).toMatch(/124.*--timeout/s)
})

const inline = (metadata: string, script: string, more = '') => `apiVersion: shellcron.dev/v1alpha1
kind: ShellRun
metadata: ${metadata}
spec:
${more}  template:
    spec:
      host: {}
      script: ${JSON.stringify(script)}
`

test('runs a ShellRun from a file: with generateName any number of times, with a name once', async () => {
  const { code, stdout } = await shellRun(inline('{ generateName: once- }', 'echo from a file'), '--wait')
  expect(code).toBe(0)
  expect(stdout).toMatch(/^default\/once-\w{5}: created.*\n.*Succeeded.*: from a file\n$/)
  expect((await shellRun(inline('{ generateName: once- }', 'true'))).code).toBe(0)
  expect((await shellRun(inline('{ name: named, namespace: ops }', 'true'))).code).toBe(0)
  expect(await shellRun(inline('{ name: named, namespace: ops }', 'false'))).toMatchObject({
    code: 2,
    stderr: 'shellcron: metadata.name: ShellRun ops/named exists already; use another name\n',
  })
  const strange = await shellRun(inline('{ name: strange }', 'true').replace('{}', '{ usr: x }'))
  expect(strange).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('spec.template.spec.host.usr') as string,
  })
})

test('deletes an ended ShellRun after its TTL', async () => {
  const { code } = await shellRun(
    inline('{ name: brief }', 'true', '  ttlSecondsAfterFinished: 1\n'),
    '--wait',
  )
  expect(code).toBe(0)
  await eventually('it is gone', async () => !(await files()).includes('default.brief.yaml'))
})

test('sees the end of a ShellRun that is deleted as soon as it has ended', async () => {
  const brief = (n: number, script: string) =>
    shellRun(inline(`{ name: at-once-${n} }`, script, '  ttlSecondsAfterFinished: 0\n'), '--wait')
  const [good, bad] = await Promise.all([brief(1, 'echo done'), brief(2, 'exit 3')])
  expect(good).toMatchObject({ code: 0, stdout: expect.stringMatching(/Succeeded.*: done/) as string })
  const stderr = 'shellcron: default/at-once-2: Failed: exit code 3 (NonZeroExitCode)\n'
  expect(bad).toMatchObject({ code: 1, stderr })
})

test('kill ends a ShellRun by its name', async () => {
  const { child, ran } = started(['run', 'ops/long', '--wait'])
  const first = await new Promise<string>(resolve =>
    child.stdout?.once('data', data => resolve(String(data))),
  )
  const [name = ''] = first.split(':')
  await eventually('it runs', async () => (await shellcron('kill', name)).code === 0)
  expect(await ran).toMatchObject({
    code: 1,
    stderr: `shellcron: ${name}: Killed: Requested\n`,
  })
  await rm(join(up.directory, 'begun'), { force: true })
})

test('lets a ShellRun continue after --timeout; without its file it is killed', async () => {
  const waiting = await shellcron('run', 'ops/long', '--wait', '--timeout', '1s')
  expect(waiting.code).toBe(124)
  const said =
    /^shellcron: ops\/(\S+): did not end within 1 s, and continues; to end it, run `shellcron kill ops\.long/m
  const [, name = ''] = said.exec(waiting.stderr) ?? []
  await eventually('it runs', async () => (await readdir(up.directory)).includes('begun'))
  await rm(join(up.directory, `.shellcron/runs/ops.${name}.yaml`))
  const end = await eventually('it is killed', () => up.outcomes().find(each => each.name === name))
  expect(end).toMatchObject({ outcome: 'Killed', reason: 'Deleted' })
})

test('says why a ShellRun cannot start while it waits', async () => {
  const { child, ran } = started(['run', '-f', '-', '--wait'])
  const env = 'env: [{ name: S, valueFrom: { secretKeyRef: { name: absent, key: k } } }]'
  child.stdin?.end(`${inline('{ name: waits, namespace: ops }', 'true')}      ${env}\n`)
  await new Promise(resolve => child.stderr?.once('data', resolve))
  child.kill()
  expect((await ran).stderr).toMatch(
    /^shellcron: ops\/waits: not started: SecretNotFound: .*Secret absent does not exist/,
  )
})

test('a job that cannot run is refused with the message of its condition', async () => {
  const before = await files()
  const refused = (name: string, message: RegExp) =>
    eventually(`${name} is refused`, async () => {
      const { code, stderr } = await shellcron('run', `ops/${name}`)
      return code === 2 && message.test(stderr)
    })
  await refused(
    'blocked',
    /^shellcron: spec\.jobRef\.name: ShellCronJob blocked cannot run: SecretNotFound: .*Secret absent does not exist/,
  )
  await refused(
    'big',
    /ShellCronJob big cannot run: spec\.template\.spec\.script: has 180002 bytes; at most 131071/,
  )
  expect(await files()).toEqual(before)
})

test('logs, history and kill of a job include its ShellRuns', async () => {
  const { stdout } = await shellcron('run', 'ops/dump', '--param', 'WHO=logs', '--wait')
  const [, name = ''] = /^ops\/(\S+): created/.exec(stdout) ?? []
  const rows = await shellcron('history', 'ops/dump', '-o', 'json')
  expect(JSON.parse(rows.stdout).rows[0]).toMatchObject({ name, kind: 'run', jobName: 'dump' })
  await eventually('its output is there', async () => {
    const logs = await shellcron('logs', 'ops/dump')
    return logs.code === 0 && logs.stdout === 'orders for logs\n'
  })

  const { ran } = started(['run', 'ops/long', '--wait'])
  await eventually('it runs and is killed', async () => {
    const { code, stdout } = await shellcron('kill', 'ops/long')
    return code === 0 && stdout === 'ops/long: killing 1 run\n'
  })
  expect((await ran).stderr).toMatch(/: Killed: Requested\n$/)
  await rm(join(up.directory, 'begun'), { force: true })
})
