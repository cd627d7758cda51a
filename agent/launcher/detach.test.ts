import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '../../platform/log.ts'
import { copyToHost, detachedCommand } from './detach.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shellcron-root-'))
})
afterEach(() => rm(root, { recursive: true }))

const launcher = ['/opt/launcher', '--state', '/var/lib/x']
const at = { stateDir: '/var/lib/x', unit: 'u1', uid: 0 }
const booted = () => mkdir(join(root, 'run/systemd/system'), { recursive: true })

test('without systemd, the launcher is started directly', () => {
  expect(detachedCommand({ root }, launcher, at)).toEqual([launcher])
})

test('with systemd, the launcher gets its own scope with delegated control groups, or is started directly if that fails', async () => {
  await booted()
  const [scope, plain] = detachedCommand({ root }, launcher, at)
  expect(scope?.slice(0, 2)).toEqual(['systemd-run', '--scope'])
  expect(scope?.join(' ')).toMatch(
    /--unit=shellcron-launcher-\w{8}-u1 .* -p Delegate=yes -p TasksMax=infinity -- \/opt\/launcher --state \/var\/lib\/x$/,
  )
  expect(plain).toEqual(launcher)
})

test("an agent that is not root uses its user's systemd", async () => {
  await booted()
  expect(detachedCommand({ root }, launcher, { ...at, uid: 1000 })[0]?.slice(0, 3)).toEqual([
    'systemd-run',
    '--user',
    '--scope',
  ])
})

test("in a pod, the launcher enters the host's namespaces first, and leaves the pod's control group", async () => {
  const enter = ['nsenter', '-t', '1', '-m', '-u', '-i', '-n', '-C', '--']
  const plain = [...enter, ...launcher, '--leave-group', 'shellcron']
  expect(detachedCommand({ root, hostNamespaces: true }, launcher, at)).toEqual([plain])
  await booted()
  const [scope, second] = detachedCommand({ root, hostNamespaces: true }, launcher, at)
  expect(scope?.slice(0, 11)).toEqual([...enter, 'systemd-run', '--scope'])
  expect(second).toEqual(plain)
})

test('the program copied to the host is executable and replaces an older one', async () => {
  const state = join(root, 'state')
  await mkdir(state)
  await writeFile(join(root, 'launcher'), 'one')
  const before = await copyToHost(join(root, 'launcher'), state, silentLog)
  await writeFile(join(root, 'launcher'), 'two')
  const path = await copyToHost(join(root, 'launcher'), state, silentLog)
  // Runs that were armed with the old program's path use the new program.
  expect(path).toBe(before)
  expect(await readdir(state)).toEqual(['launcher'])
  expect(await readFile(path, 'utf8')).toBe('two')
  expect((await stat(path)).mode & 0o777).toBe(0o755)
})

test.runIf(process.platform === 'linux')(
  'if the disk is full, the older copy is kept; without an older copy it is an error',
  async () => {
    const [program, state] = [join(root, 'launcher'), join(root, 'state')]
    await mkdir(state)
    const full = () => symlink('/dev/full', join(state, 'launcher.new'))
    await writeFile(program, 'one')
    await full()
    await expect(copyToHost(program, state, silentLog)).rejects.toThrow('copyfile')
    const path = await copyToHost(program, state, silentLog)
    await full()
    // An identical program is not copied again.
    expect(await copyToHost(program, state, silentLog)).toBe(path)
    await writeFile(program, 'two')
    expect(await copyToHost(program, state, silentLog)).toBe(path)
    expect(await readFile(path, 'utf8')).toBe('one')
    expect(await readdir(state)).toEqual(['launcher'])
  },
)
