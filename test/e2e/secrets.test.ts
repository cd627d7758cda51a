import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { OPERATOR_USER, openAuthority } from '../../operator/identity/authority.ts'
import { fileKeyStore } from '../../operator/identity/keystore.ts'
import { freePorts } from '../../platform/free-ports.ts'
import { eventually } from '../fault/eventually.ts'
import { type Up, upOn } from '../fixtures/up.ts'
import { etcdPrograms } from '../servers/binaries.ts'

/** Searches for a Secret's value in every place that it could reach. Only its command may have its bytes, or their base64. */
const LINE = 'quince-ladder-tundra'
const SECOND = 'ember,velvet/anchor'
const SECRET = `${LINE}\n${SECOND}`
/** A variable of the environment. */
const TOKEN = 'marble-otter-lantern'
const JOBS = {
  prints: 'echo "$SECRET"; echo "$SECRET" | base64; echo "$SECRET" | base64 -w0',
  fails: 'set -x; : "$SECRET"; echo "failed with $SECRET" >&2; exit 3',
  cut: `printf %s "$SECRET"; head -c 505 /dev/zero | tr '\\0' .; exit 4`,
  hands: `sh -c 'echo "argument $1"; exit 5' child "$SECRET"`,
  given: 'echo "token $TOKEN"',
  waits: 'echo "$SECRET"; exec sleep 600',
}

let up: Up
let port: number
const state = () => join(up.directory, '.shellcron')
const program = fileURLToPath(new URL('../../bin/shellcron', import.meta.url))

const job = (name: string, script: string) => `apiVersion: shellcron.dev/v1alpha1
kind: ShellCronJob
metadata: { name: ${name}, namespace: ops }
spec:
  schedule: "* * * * * *"
  concurrencyPolicy: Forbid
  template:
    spec:
      host: {}
      env:
        - { name: SECRET, valueFrom: { secretKeyRef: { name: database, key: password } } }
        - { name: TOKEN, valueFrom: { secretKeyRef: { name: api, key: token } } }
      script: ${JSON.stringify(script)}
`

beforeAll(async () => {
  ;[port = 0] = await freePorts(1)
  const given = ['--secret-from-env', 'ops/api/token=TEST_TOKEN']
  up = await upOn(undefined, ['--log-level', 'debug', '--etcd-port', String(port), ...given], {
    env: { ...process.env, TEST_TOKEN: TOKEN },
  })
  const folder = join(up.directory, 'secrets/ops/database')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'password'), `${SECRET}\n`, { mode: 0o600 })
  for (const [name, script] of Object.entries(JOBS))
    await writeFile(join(up.directory, `${name}.yaml`), job(name, script))
  for (const name of ['prints', 'fails', 'cut', 'hands', 'given'])
    await eventually(`${name} has ended`, () => ended(name).length > 0, 60_000)
  await eventually('the last one runs', async () => (await processes()).some(isWaiting), 60_000)
})
afterAll(async () => {
  await rm(join(up.directory, 'waits.yaml'))
  await eventually('it is killed', () => ended('waits').length > 0)
  await up?.interrupt()
  await up?.remove()
})

const ended = (name: string) => up.outcomes().filter(each => each.name === name && each.attempt > 0)

/** The parts of the Secret in a text: its lines, or its base64 at any of the three alignments. */
function found(text: string): string[] {
  const inBase64 = [LINE, SECOND, SECRET, TOKEN].flatMap(value =>
    [0, 1, 2].map(offset =>
      Buffer.from(' '.repeat(offset) + value)
        .toString('base64')
        .slice(4, 20),
    ),
  )
  return [LINE, SECOND, TOKEN, LINE.slice(6), SECOND.slice(6), ...inBase64].filter(part =>
    text.includes(part),
  )
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}

/** All processes except this one. The environment is read first, because it identifies the process, which may end before the next read. */
async function processes(): Promise<{ cmdline: string; environ: string }[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
  const read = (pid: string, file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')
  return await Promise.all(
    pids.map(async pid => {
      const environ = await read(pid, 'environ')
      return { environ, cmdline: await read(pid, 'cmdline') }
    }),
  )
}

const isCommand = ({ environ }: { environ: string }) => environ.includes('SHELLCRON_RUN_ID=')
const isWaiting = ({ cmdline, environ }: { cmdline: string; environ: string }) =>
  cmdline.startsWith('sleep\0') && environ.includes('SHELLCRON_JOB=waits')

async function history(): Promise<string> {
  const args = ['history', '--state', state(), '--limit', '1000', '-o', 'json']
  return (await promisify(execFile)(program, args, { maxBuffer: 1e8 })).stdout
}

test('outcomes and history show that it was redacted, and do not contain it', async () => {
  expect(ended('prints')[0]).toMatchObject({ outcome: 'Succeeded', tail: '***\n***\n***' })
  expect(ended('fails')[0]).toMatchObject({ outcome: 'Failed', exitCode: 3 })
  expect(ended('fails')[0]?.tail).toMatch(
    /^\+ : '?\*\*\*'?\n\+ echo '?failed with \*\*\*'?\nfailed with \*\*\*\n/,
  )
  expect(ended('cut')[0]?.tail).toBe(`***${'.'.repeat(505)}`)
  expect(ended('hands')[0]?.tail).toBe('argument ***\n')
  expect(ended('given')[0]).toMatchObject({ outcome: 'Succeeded', tail: 'token ***\n' })
  expect(found(JSON.stringify(up.outcomes()))).toEqual([])
  expect(found(await history())).toEqual([])
})

test('the logs of operator, agent and etcd do not contain it', () => {
  expect(up.lines().length).toBeGreaterThan(10)
  expect(found(up.lines().join('\n'))).toEqual([])
})

test('no key of etcd contains it', async () => {
  const authority = await openAuthority(await fileKeyStore(join(state(), 'keys')))
  const { cert, key } = await authority.client(OPERATOR_USER, 1)
  const files = { cacert: authority.caCert, cert, key }
  const folder = join(up.directory, 'etcdctl')
  await mkdir(folder, { mode: 0o700 })
  for (const [name, pem] of Object.entries(files)) await writeFile(join(folder, name), pem, { mode: 0o600 })
  const etcdctl = join(await etcdPrograms(), 'etcdctl')
  const flags = Object.keys(files).map(name => `--${name}=${join(folder, name)}`)
  const args = [...flags, `--endpoints=https://127.0.0.1:${port}`, 'get', '', '--prefix']
  const dump = await eventually('a status tells the output', async () => {
    const { stdout } = await promisify(execFile)(etcdctl, args, { maxBuffer: 1e8 })
    return stdout.includes('failed with ***') && stdout
  })
  expect(dump).toContain('/jobs/default/ops/prints')
  expect(found(dump)).toEqual([])
})

test("only the launcher's output and the log store contain it on disk, and other users cannot read these", async () => {
  const files = await filesBelow(state())
  const having: string[] = []
  for (const file of files) {
    // Some files are gone by now.
    const text = await readFile(file, 'latin1').catch(() => '')
    if (found(text).length > 0) having.push(relative(state(), file))
    const mode = (await stat(file).catch(() => undefined))?.mode ?? 0
    if (found(text).length > 0) expect(mode & 0o077, file).toBe(0)
  }
  const spools = having.filter(file => file.startsWith('agent/spool/'))
  expect(spools).not.toEqual([])
  expect(having.filter(file => !spools.includes(file) && !file.startsWith('shellcron.db'))).toEqual([])
  for (const folder of ['', 'agent', 'etcd', 'keys', ...spools.map(file => join(file, '..'))])
    expect((await stat(join(state(), folder))).mode & 0o077, folder).toBe(0)
})

test('only processes of commands have it, in their environment and not in their arguments', async () => {
  const all = await processes()
  expect(all.find(isWaiting)?.environ).toContain(LINE)
  const others = all.filter(each => !isCommand(each))
  // The operator and its parent have it in their own environment.
  for (const { cmdline } of others.filter(
    ({ environ, cmdline }) => cmdline !== '' && found(environ).length > 0,
  ))
    expect(cmdline).toMatch(/\0(up|operator)\0.*--secret-from-env\0/)
  // One of the commands passes it to a child.
  const hands = (environ: string) => environ.includes('SHELLCRON_JOB=hands')
  const told = all.filter(({ cmdline, environ }) => found(cmdline).length > 0 && !hands(environ))
  expect(told.map(({ cmdline }) => cmdline)).toEqual([])
})
