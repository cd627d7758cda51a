import { execFile } from 'node:child_process'
import { copyFile, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { readMachine } from '../../cli/up/config.ts'
import { makeOnce } from '../../platform/make-once.ts'

const run = promisify(execFile)

/** QEMU in user mode, and the libraries of arm64 that Node is linked with. They are for cross-compilers, so they are amd64's packages. */
const PACKAGES = ['qemu-user-static', 'libc6-arm64-cross', 'libstdc++6-arm64-cross', 'libgcc-s1-arm64-cross']

/** A command prefix that runs a program for Linux on arm64. Unpacks Debian's packages into the cache if they are not there; installs nothing. */
export async function onArm64(): Promise<readonly string[]> {
  const dir = join(readMachine().cacheDir, 'arm64-debian')
  const make = async (tmp: string) => {
    await run('apt-get', ['download', ...PACKAGES], { cwd: tmp })
    const debs = (await readdir(tmp)).filter(name => name.endsWith('.deb'))
    for (const deb of debs) await run('dpkg-deb', ['-x', join(tmp, deb), join(tmp, 'root')])
    await copyFile(join(tmp, 'root/usr/bin/qemu-aarch64-static'), join(tmp, 'qemu'))
    await rename(join(tmp, 'root/usr/aarch64-linux-gnu'), join(tmp, 'root-arm64'))
  }
  await makeOnce({ dir, names: ['qemu', 'root-arm64'], make })
  return [join(dir, 'qemu'), '-L', join(dir, 'root-arm64')]
}
