import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../fault/eventually.ts'
import { type Up, upOn } from '../fixtures/up.ts'

/** `shellcron logs` from another terminal than `shellcron up`. */
const program = fileURLToPath(new URL('../../bin/shellcron', import.meta.url))
let up: Up

beforeAll(async () => {
  up = await upOn(undefined)
})
afterAll(async () => {
  await up.interrupt()
  await up.remove()
})

interface Ran {
  code: number
  stdout: Buffer
  stderr: Buffer
}

const argsOf = (args: string[]) => ['logs', ...args, '--state', join(up.directory, '.shellcron')]

async function logs(...args: string[]): Promise<Ran> {
  return promisify(execFile)(program, argsOf(args), { encoding: 'buffer', maxBuffer: 2 ** 27 }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Ran) => error,
  )
}

/** Creates a ShellRun, which runs at once, and once. */
async function run(name: string, script: string, more = ''): Promise<void> {
  const yaml = `apiVersion: shellcron.dev/v1alpha1
kind: ShellRun
metadata: { name: ${name} }
spec:
  template: { spec: { host: {}, ${more}script: ${JSON.stringify(script)} } }
`
  await writeFile(join(up.directory, `${name}.yaml`), yaml)
}

/** Waits until all its output is stored. The first one waits until `up` has started completely. */
const whole = (name: string, ...args: string[]) =>
  eventually(
    `the output of ${name}`,
    async () => {
      // Before the output is read, because the run may end meanwhile.
      const isOver = up.outcomes().some(each => each.name === name)
      const ran = await logs(name, '--shell-run', ...args)
      return isOver && ran.code === 0 && !ran.stderr.includes('has not arrived') && ran
    },
    60_000,
  )

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const statusOf = (pid: number | string) => readFileSync(`/proc/${pid}/status`, 'utf8')

/** The pid of a part of `up`; 0: it does not run now. */
function childOf(up: number, part: string): number {
  const isPart = (pid: string) => {
    try {
      const [, ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      const parent = /^PPid:\s+(\d+)$/m.exec(statusOf(pid))?.[1]
      return args.includes(part) && Number(parent) === up
    } catch {
      return false
    }
  }
  return Number(readdirSync('/proc').find(name => /^\d+$/.test(name) && isPart(name)) ?? 0)
}

test('stdout and stderr are separate, byte for byte; or by line, with times', async () => {
  const noise = join(up.directory, 'noise')
  await writeFile(noise, Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 256)))
  await run('bytes', `cat ${noise}; printf 'to stderr' >&2`)
  const { stdout, stderr } = await whole('bytes')
  const written = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 256))
  expect(sha256(stdout)).toBe(sha256(written))
  expect(stderr.toString()).toBe('to stderr')
  const lines = await logs('bytes', '--shell-run', '--stderr', '--timestamps')
  expect(lines.stdout).toHaveLength(0)
  expect(lines.stderr.toString()).toMatch(/^\d{4}-\d\d-\d\dT\S+Z to stderr$/)
})

test('a run is followed while it writes, from its last lines, to its end', async () => {
  const gate = join(up.directory, 'gate')
  await run('live', `echo one; echo two; until [ -e ${gate} ]; do sleep 0.05; done; echo three; exit 3`)
  await eventually('it has written', async () => (await logs('live', '--shell-run')).stdout.length === 8)
  const following = spawn(program, argsOf(['default/live', '--shell-run', '-f', '--tail', '1']))
  let seen = ''
  following.stdout.on('data', (part: Buffer) => {
    seen += part.toString()
  })
  const ended = new Promise<number | null>(resolve => following.on('exit', resolve))
  await eventually('the last line', () => seen === 'two\n')
  // `logs -f` does not notice that the operator was restarted.
  const operator = childOf(up.child.pid, 'operator')
  process.kill(operator, 'SIGKILL')
  await eventually('another one is there', () => ![operator, 0].includes(childOf(up.child.pid, 'operator')))
  await writeFile(gate, '')
  expect(await ended).toBe(0)
  expect(seen).toBe('two\nthree\n')
})

test('an agent that is killed in the middle of a stream loses nothing of it', async () => {
  const gate = join(up.directory, 'gate-2')
  const lines = `i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo "line $i"; done`
  await run('killed', `${lines}; until [ -e ${gate} ]; do sleep 0.05; done; ${lines}`)
  await eventually(
    'its beginning is stored',
    async () => (await logs('killed', '--shell-run')).stdout.length > 0,
  )
  const agent = childOf(up.child.pid, 'agent')
  process.kill(agent, 'SIGKILL')
  await eventually('another one is there', () => ![agent, 0].includes(childOf(up.child.pid, 'agent')))
  await writeFile(gate, '')
  const { stdout } = await whole('killed')
  const once = Array.from({ length: 3_000 }, (_, i) => `line ${i + 1}\n`).join('')
  expect(stdout.toString()).toBe(once + once)
  expect(up.outcomes().find(({ name }) => name === 'killed')).toMatchObject({ outcome: 'Succeeded' })
})

test('a large output is complete, and the parts of a fire are distinguished', async () => {
  const bytes = 20_000_000
  await run('large', `yes 'a line of it' | head -c ${bytes}`, 'outputLimit: 100Mi, target: { mode: All }, ')
  const { stdout } = await whole('large')
  const line = 'a line of it\n'
  const expected = Buffer.alloc(bytes, line)
  expect(sha256(stdout)).toBe(sha256(expected))
  const { stdout: last } = await logs('large', '--shell-run', '--prefix', '--tail', '2')
  expect(last.toString()).toMatch(/^\[default\.large\.run-\w{8}\.here\] a line of it\n\[/)
})

test('a cut by outputLimit is shown in the output and in the record', async () => {
  await run('cut', `printf '%5000s' a`, 'outputLimit: 1000, ')
  const { stdout, stderr } = await whole('cut')
  expect(stdout).toHaveLength(1_000)
  const said = '4000 bytes of stdout and 0 of stderr were cut by outputLimit'
  expect(stderr.toString()).toBe(`[shellcron: ${said}]\n`)
  expect(up.outcomes().find(({ name }) => name === 'cut')).toMatchObject({ message: said })
})

test('while a retry is pending, the attempt before it is shown, and following goes on with the retry', async () => {
  await run(
    'retried',
    'echo attempt $SHELLCRON_ATTEMPT; exit $((2 - SHELLCRON_ATTEMPT))',
    'backoffLimit: 1, ',
  )
  await eventually(
    'the first attempt has ended',
    () => up.outcomes().some(({ name }) => name === 'retried'),
    60_000,
  )
  const following = logs('retried', '--shell-run', '-f')
  const { code, stdout } = await eventually('its output has arrived', async () => {
    const ran = await logs('retried', '--shell-run')
    return !ran.stderr.includes('has not arrived') && ran
  })
  expect([code, stdout.toString()]).toEqual([0, 'attempt 1\n'])
  expect(up.outcomes().filter(({ name }) => name === 'retried')).toHaveLength(1)
  const followed = await following
  expect([followed.code, followed.stdout.toString()]).toEqual([0, 'attempt 1\nattempt 2\n'])
  expect((await logs('retried', '--shell-run', '--attempt', '1')).stdout.toString()).toBe('attempt 1\n')
  expect((await whole('retried')).stdout.toString()).toBe('attempt 2\n')
})

test('shows the latest run of a job, or an attempt by number, and says what is missing', async () => {
  await writeFile(
    join(up.directory, 'job.yaml'),
    `apiVersion: shellcron.dev/v1alpha1
kind: ShellCronJob
metadata: { name: each }
spec: { schedule: "* * * * * *", template: { spec: { host: {}, script: 'echo $SHELLCRON_RUN_ID' } } }
`,
  )
  const { stdout } = await eventually('it has run', async () => {
    const ran = await logs('each', '-n', 'default')
    return ran.stdout.length > 0 && ran
  })
  const id = stdout.toString().trim()
  expect(id).toMatch(/^default\.each\.\d+$/)
  expect((await logs(id, '--attempt', '1', '--prefix')).stdout.toString()).toBe(`[${id}] ${id}\n`)
  expect(await logs(id, '--attempt', '2')).toMatchObject({ code: 2 })
  const none = await logs('nothing')
  expect(none.code).toBe(2)
  expect(none.stderr.toString()).toBe(
    'shellcron: nothing: no run of this ShellCronJob is known: it has not run yet, or does not exist\n',
  )
})
