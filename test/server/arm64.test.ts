import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makePackages } from '../../scripts/packages.ts'
import { bench, bytesOf, SESSION } from '../contract/launcher/launcher.ts'
import { onArm64 } from '../servers/arm64.ts'
import { temporaryDirectory } from '../servers/directory.ts'

const run = promisify(execFile)

/** The package for arm64, in QEMU's user mode: its system calls are those of this machine's kernel, so this needs no arm64 kernel. */
describe.runIf(existsSync('/usr/bin/dpkg-deb'))('the package for arm64', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>
  let lib = ''
  let prefix: readonly string[] = []
  beforeAll(async () => {
    directory = await temporaryDirectory('shellcron-arm64-')
    prefix = await onArm64()
    const { deb } = await makePackages({ arch: 'arm64', out: directory.path, isQuick: true })
    await run('dpkg-deb', ['-x', deb, join(directory.path, 'root')])
    lib = join(directory.path, 'root/usr/lib/shellcron')
  })
  afterAll(() => directory?.remove())

  const output = async (program: string, ...args: string[]) => {
    const [qemu = '', ...flags] = prefix
    return (await run(qemu, [...flags, join(lib, program), ...args])).stdout
  }

  test('has a Node for arm64 that runs the program', async () => {
    const main = join(lib, 'cli/main.js')
    expect(await output('node/bin/node', main, '--version')).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(await output('node/bin/node', '-p', 'process.arch')).toBe('arm64\n')
    const next = ['next', '--schedule', '0 1 * * *', '--time-zone', 'Asia/Shanghai', '--count', '1']
    expect(await output('node/bin/node', main, ...next, '--after', '2026-01-01T00:00:00Z')).toContain(
      '2026-01-01T17:00:00',
    )
  })

  test('has an etcd for arm64', async () => {
    expect(await output('dist/etcd-linux-arm64', '--version')).toContain('Go OS/Arch: linux/arm64')
  })

  test('has a launcher for arm64 that runs a command, with its output and exit code', async () => {
    const launchers = bench([...prefix, join(lib, 'dist/launcher-linux-arm64')])
    const { launcher, ended, output: outputOf } = await launchers.connect()
    const script = ['/bin/sh', '-c', 'echo out; exit 3']
    const arm = {
      id: 'one',
      workingDir: '/',
      session: SESSION,
      at: 0,
      env: {},
      graceMs: 60_000,
      outputLimit: 1_000_000,
      fenced: true,
    }
    launcher.arm([{ ...arm, argv: script }])
    expect(await ended('one')).toMatchObject({ cause: { kind: 'exited', code: 3 } })
    expect(String(bytesOf(await outputOf('one'), 'stdout'))).toBe('out\n')
    await launchers.end()
  })
})
