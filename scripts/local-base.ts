/**
 * Base images for packaging/images without a registry: directory trees from this machine, for `FROM scratch`. They hold this machine's Node and
 * programs with the libraries that they load. For tests and for machines without access to a registry; releases use the bases that the
 * Containerfiles name.
 */
import { execFile } from 'node:child_process'
import { chmod, copyFile, mkdir, realpath, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What the agent and its launcher start: the rest happens on the host. */
const AGENT_PROGRAMS = [
  'nsenter',
  'flock',
  'readlink',
  'dirname',
  'uname',
  'cat',
  'ls',
  'id',
  'sleep',
  'mount',
]
const USERS =
  'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\nnonroot:x:65532:65532::/:/bin/sh\n'

/** Node as /nodejs/bin/node, as in the operator's default base. No shell. */
export async function makeOperatorBase(root: string): Promise<void> {
  await makeRoot(root)
  await copyProgram(process.execPath, root, '/nodejs/bin/node')
}

/** Node, /bin/sh and a few programs in the PATH. */
export async function makeAgentBase(root: string): Promise<void> {
  await makeRoot(root)
  await copyProgram(process.execPath, root, '/usr/bin/node')
  await copyProgram('/bin/sh', root, '/usr/bin/sh')
  for (const name of AGENT_PROGRAMS) {
    const { stdout } = await run('/bin/sh', ['-c', `command -v ${name}`])
    await copyProgram(stdout.trim(), root, `/usr/bin/${name}`)
  }
  // `#!/bin/sh`, and the PATH of a pod.
  for (const [link, target] of [
    ['bin', 'usr/bin'],
    ['sbin', 'usr/bin'],
  ] as const)
    await symlink(target, join(root, link))
}

async function makeRoot(root: string): Promise<void> {
  for (const dir of ['etc', 'tmp', 'root', 'usr/bin']) await mkdir(join(root, dir), { recursive: true })
  await chmod(join(root, 'tmp'), 0o1777)
  await writeFile(join(root, 'etc/passwd'), USERS)
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n')
  await writeFile(join(root, 'etc/nsswitch.conf'), 'passwd: files\ngroup: files\nhosts: files dns\n')
}

/** Copies a program and every library that it loads, to the same paths. */
async function copyProgram(from: string, root: string, to: string): Promise<void> {
  await copyInto(from, join(root, to))
  // A static program is "not a dynamic executable": ldd fails.
  const { stdout } = await run('ldd', [from]).catch(() => ({ stdout: '' }))
  for (const [library] of stdout.matchAll(/\/\S+/g)) await copyInto(library, join(root, library))
}

async function copyInto(from: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await copyFile(await realpath(from), path)
  await chmod(path, 0o755)
}
