import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makePackages } from '../../scripts/packages.ts'
import { onArm64 } from '../servers/arm64.ts'
import { temporaryDirectory } from '../servers/directory.ts'

const run = promisify(execFile)

/** The package for arm64, in QEMU's user mode: its system calls go to this machine's kernel. */
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

  // QEMU's user mode refuses prctl(PR_SET_CHILD_SUBREAPER), without which the launcher runs no command.
  test('has a launcher and a helper for arm64 that start', async () => {
    const [qemu = '', ...flags] = prefix
    const { stderr } = await run(qemu, [...flags, join(lib, 'dist/launcher-linux-arm64'), '--help'])
    expect(stderr).toContain('-state string')
    const helper = run(qemu, [...flags, join(lib, 'dist/exec-linux-arm64')])
    await expect(helper).rejects.toMatchObject({
      stderr: expect.stringContaining('the request is malformed'),
    })
  })
})
