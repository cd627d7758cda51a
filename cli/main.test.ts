import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

/** Runs the program as a user does. */
const program = fileURLToPath(new URL('main.ts', import.meta.url))
const root = fileURLToPath(new URL('../', import.meta.url))

function shellcron(args: string[], input = '') {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    encoding: 'utf8',
    input,
    timeout: 60_000,
    killSignal: 'SIGKILL',
  })
  return { status, stdout, stderr }
}

test('--help lists the commands', () => {
  const { status, stdout } = shellcron(['--help'])
  expect(status).toBe(0)
  for (const command of ['up', 'run', 'operator', 'agent', 'validate', 'next', 'explain', 'version'])
    expect(stdout).toContain(`  ${command}`)
})

describe('next', () => {
  test('prints UTC times, at the wall clock of the zone', () => {
    const { stdout } = shellcron([
      'next',
      '--schedule',
      '30 2 * * *',
      '--time-zone',
      'Europe/Berlin',
      '--after',
      '2026-03-28T00:00:00Z',
      '--count',
      '3',
    ])
    expect(stdout).toBe('2026-03-28T01:30:00Z\n2026-03-29T01:00:00Z\n2026-03-30T00:30:00Z\n')
  })
  test('a batch answers each line on its own, even if another line is invalid', () => {
    const lines = [
      { schedule: '0 0 * * *', after: '2026-01-01T00:00:00Z', count: 2 },
      { schedule: '0 25 * * *' },
      { schedule: '0 0 * * *', timeZone: 'Mars/Olympus' },
      { schedule: '0 0 * * *', count: -1 },
      { schedule: '0 0 * * *', daylightSaving: { skipped: 'Never' } },
      { schedule: '0 0 * * *', after: 'tomorrow' },
      {},
    ]
    const { stdout, status } = shellcron(
      ['next', '--batch'],
      `${lines.map(line => JSON.stringify(line)).join('\n')}\nnonsense\n`,
    )
    const answers = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as { fires?: string[]; error?: { field: string } })
    expect(status).toBe(0)
    expect(answers[0]).toEqual({ fires: ['2026-01-02T00:00:00Z', '2026-01-03T00:00:00Z'] })
    expect(answers.slice(1).map(({ error }) => error?.field)).toEqual([
      'schedule',
      'timeZone',
      'count',
      'daylightSaving.skipped',
      'after',
      'schedule',
      '',
    ])
  })
})

describe('a mistake is reported in a line that names the flag, the value and the remedy, without a stack trace', () => {
  test.each([
    [['next', '--schedule', '61 * * * *'], /^shellcron: --schedule: .*61.*\n$/],
    [['next'], /^shellcron: --schedule: is missing.*\n$/],
    [['explain', 'never'], /^shellcron: schedule: .*\n$/],
    [['validate', '-f', '/nowhere'], /^shellcron: --filename: there is no file or directory "\/nowhere"\n$/],
    [['run', 'a', '--state', '/nowhere'], /^shellcron: --state: no operator runs on "\/nowhere"; .*\n$/],
    [['validate'], /^shellcron: required option '-f, --filename <path>' not specified\n/],
    [
      ['logs', 'a', '--tail', 'x'],
      /^shellcron: option '--tail <n>' argument 'x' is invalid\. Use a whole number/,
    ],
    [['up', '.', '--name', 'a b'], /^shellcron: --name: "a b" is not a valid agent name; use .*\n$/],
    [
      ['up', '.', '--trust-owner', 'no such user'],
      /^shellcron: --trust-owner: this machine has no user "no such user"\n$/,
    ],
    [
      ['operator', '--endpoints', 'https://localhost:1', '--trust-owner', 'no such user'],
      /^shellcron: --trust-owner: this machine has no user "no such user"\n$/,
    ],
    [['up', '.', '--log-level', 'loud'], /^shellcron: .*Allowed choices are debug/],
    [
      ['next', '--schedule', '@daily', '--after', 'soon'],
      /^shellcron: --after: "soon" is not a time; use .*\n$/,
    ],
    [['history', '--outcome', 'Fine'], /^shellcron: .*Allowed choices/],
    [['up', '.', '--retention-bytes', 'much'], /^shellcron: .*'much' is invalid\. Use a size/],
    [['up', '.', '--runtime-endpoint', '/run/x.sock'], /^shellcron: .*Use URLs such as unix:/],
    [['up', '/nowhere'], /^shellcron: directory: "\/nowhere" is not a directory.*\n$/],
    [
      ['agent', '--endpoints', 'nonsense', '--identity', '/nowhere', '--state', '/tmp/x'],
      /^shellcron: --endpoints: .*\n$/,
    ],
    [
      ['agent', '--endpoints', 'https://localhost:1', '--identity', '/nowhere', '--state', '/tmp/x'],
      /^shellcron: --identity: .*\n$/,
    ],
    [
      [
        'agent',
        '--endpoints',
        'https://localhost:1',
        '--identity',
        '/nowhere',
        '--state',
        '/x',
        '--name',
        'a..b',
      ],
      /^shellcron: --name: must be .*\n$/,
    ],
    [['operator', '--endpoints', 'nonsense'], /^shellcron: --endpoints: .*\n$/],
  ])('%j', (args, says) => {
    const { status, stderr } = shellcron(args)
    expect(stderr).toMatch(says)
    expect(status).toBe(2)
  })
})

describe('without an operator', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shellcron-cli-'))
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  test.each(['history', 'logs ops.a.1'])('%s says how to see what is kept', async line => {
    const state = join(dir, '.shellcron')
    const ask = () => shellcron([...line.split(' '), '--state', state])
    await mkdir(state)
    expect(ask().stderr).not.toContain('are kept')
    await writeFile(join(state, 'shellcron.db'), '')
    const message = `are kept in this directory: to read them, start the operator again, for example with \`shellcron up ${dir}\`\n`
    expect(ask()).toMatchObject({ status: 2, stderr: expect.stringContaining(message) as string })
    // An operator that was killed leaves its socket.
    await writeFile(join(state, 'operator.sock'), '')
    expect(ask()).toMatchObject({ status: 1, stderr: expect.stringContaining(message) as string })
  })

  test('a checkout without dependencies says how to install them', async () => {
    await cp(join(root, 'bin'), join(dir, 'bin'), { recursive: true })
    await mkdir(join(dir, 'cli'))
    await writeFile(join(dir, 'cli/main.ts'), '')
    const { status, stderr } = spawnSync(join(dir, 'bin/shellcron'), ['up'], { encoding: 'utf8' })
    expect(stderr).toMatch(/^shellcron: this checkout has no dependencies yet; run `make up`.*\n$/)
    expect(status).toBe(1)
  })
})

test.each(['../../x', 'UP', 'a..b', '.', 'a/b', 'x'.repeat(254)])(
  'up --name %s is refused before anything is written',
  name => {
    const base = mkdtempSync(join(tmpdir(), 'shellcron-name-'))
    const jobs = join(base, 'a', 'jobs')
    mkdirSync(jobs, { recursive: true })
    const { status, stderr } = shellcron(['up', jobs, '--name', name])
    expect(stderr).toBe(
      `shellcron: --name: "${name}" is not a valid agent name; use lower-case letters, digits, dashes and dots\n`,
    )
    expect(status).toBe(2)
    expect(new Set(readdirSync(base, { recursive: true, encoding: 'utf8' }))).toEqual(
      new Set(['a', 'a/jobs']),
    )
    rmSync(base, { recursive: true })
  },
)

test('a malformed flag of `up` makes no state directory', () => {
  const jobs = mkdtempSync(join(tmpdir(), 'shellcron-flag-'))
  const { status } = shellcron(['up', jobs, '--secret-from-env', 'x'])
  expect(status).toBe(2)
  expect(existsSync(join(jobs, '.shellcron'))).toBe(false)
  rmSync(jobs, { recursive: true })
})

describe('validate', () => {
  const job = (schedule: string) =>
    `apiVersion: shellcron.dev/v1alpha1\nkind: ShellCronJob\nmetadata: { name: a }\nspec:\n  schedule: "${schedule}"\n  template: { spec: { host: {}, script: "true" } }\n`
  test('reports nothing for valid objects', () => {
    expect(shellcron(['validate', '-f', '-'], job('@daily'))).toEqual({
      status: 0,
      stdout: '',
      stderr: '1 object, 0 problems\n',
    })
  })
  test('reports file, line and field of each problem, also of those that only code finds', () => {
    const { status, stdout } = shellcron(
      ['validate', '-f', '-'],
      `${job('99 * * * *')}---\n${job('@daily').replace('script', 'scrpit')}`,
    )
    expect(status).toBe(1)
    expect(stdout).toMatch(/^-:5: spec\.schedule: .*99/m)
    expect(stdout).toMatch(/^-:\d+: spec\.template\.spec\.scrpit: is not a known field/m)
  })
  test('a ShellRun may have generateName, as for kubectl create, and be repeated; a job may not', () => {
    const run = (metadata: string) =>
      `apiVersion: shellcron.dev/v1alpha1\nkind: ShellRun\nmetadata: ${metadata}\nspec: { jobRef: { name: a } }\n`
    const good = shellcron(
      ['validate', '-f', '-'],
      `${run('{ generateName: a- }')}---\n${run('{ generateName: a- }')}`,
    )
    expect(good).toEqual({ status: 0, stdout: '', stderr: '2 objects, 0 problems\n' })
    const wrong = [run('{ generateName: A- }'), run(`{ generateName: ${'a'.repeat(48)} }`), run('{}')]
    for (const text of [...wrong, job('@daily').replace('name: a', 'generateName: a-')])
      expect(shellcron(['validate', '-f', '-'], text).stdout).toMatch(/^-:3: metadata\.name: /)
  })
  test('nothing in a file or its name controls the terminal, as text or as JSON', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'shellcron-cli-'))
    try {
      const text = JSON.stringify({
        apiVersion: 'shellcron.dev/v1\u009b2J\u007f',
        kind: 'Shell\u001b]0;x\u0007',
        metadata: { name: 'a', labels: { '\u202ekey': 'a\nb' } },
        spec: { 'sche\u001bdule': 1 },
      })
      await writeFile(join(dir, 'a\u001b[2J\n\u202e.yaml'), `${text}\n---\n${job('@daily')}  "x\\e": 1\n`)
      for (const format of ['text', 'json']) {
        const { stdout, status } = shellcron(['validate', '-f', dir, '-o', format])
        expect(status).toBe(1)
        expect(stdout).not.toMatch(/(?!\n)[\p{Cc}\u202e]/u)
        expect(stdout).toContain('\\u001b[2J\\n\\u202e.yaml')
        if (format === 'json')
          for (const line of stdout.trim().split('\n'))
            expect(JSON.parse(line)).toMatchObject({ file: join(dir, 'a\u001b[2J\n\u202e.yaml') })
      }
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })
  test('a field of another scheduler is answered with what there is', () => {
    const wished = (field: string) =>
      shellcron(['validate', '-f', '-'], job('@daily').replace('spec:', `spec:\n  ${field}: 1`)).stdout
    expect(wished('maxConcurrentRuns')).toMatch(/is not a known field; .*concurrencyPolicy.*maxParallel/)
    expect(wished('concurrencyGroup')).toMatch(/is not a known field; .*flock/)
    expect(wished('year')).toMatch(/is not a known field; .*ShellRun/)
    expect(shellcron(['validate', '-f', '-'], job('0 0 1 1 * 2027')).stdout).toMatch(
      /A year is not supported/,
    )
  })
  test('an object that is defined twice is reported', () => {
    const { stdout } = shellcron(['validate', '-f', '-'], `${job('@daily')}---\n${job('@weekly')}`)
    expect(stdout).toMatch(/ShellCronJob default\/a is also defined in -:1; remove one of them/)
  })
  test('FIFOs, devices, huge and endless files are problems, and the other files are checked', () => {
    const dir = mkdtempSync(join(tmpdir(), 'shellcron-validate-'))
    spawnSync('mkfifo', [join(dir, 'a.yaml')])
    symlinkSync('/dev/zero', join(dir, 'b.yaml'))
    writeFileSync(join(dir, 'c.yaml'), `${job('99 * * * *')}${'#'.repeat(5_000_000)}`)
    writeFileSync(join(dir, 'd.yaml'), job('99 * * * *'))
    const { status, stdout, stderr } = shellcron(['validate', '-f', dir])
    expect(stdout.split('\n')).toEqual([
      `${join(dir, 'a.yaml')}:1: is a FIFO, not a regular file`,
      `${join(dir, 'b.yaml')}:1: is a device, not a regular file`,
      `${join(dir, 'c.yaml')}:1: is larger than 4194304 bytes; split it`,
      expect.stringMatching(/d\.yaml:5: spec\.schedule: /),
      '',
    ])
    expect(stderr).toBe('1 object, 4 problems\n')
    expect(status).toBe(1)
    expect(shellcron(['validate', '-f', join(dir, 'a.yaml')]).stdout).toMatch(/is a FIFO/)
    expect(shellcron(['validate', '-f', '/dev/zero']).stdout).toBe(
      '/dev/zero:1: is a device, not a regular file\n',
    )
    expect(shellcron(['validate', '-f', '-'], '#'.repeat(5_000_000)).stdout).toMatch(/^-:1: is larger than/)
    rmSync(dir, { recursive: true })
  })
})

test('a reader that closes the pipe early causes no error', () => {
  const pipeline = `"$0" "$1" next --schedule '* * * * *' --count 10000 | head -n 1; sleep 0.1`
  const { stdout, stderr } = spawnSync('sh', ['-c', pipeline, process.execPath, program], {
    encoding: 'utf8',
  })
  expect(stdout.split('\n')).toHaveLength(2)
  expect(stderr).toBe('')
})
