import { execFile } from 'node:child_process'
import { chmod, copyFile, mkdir, realpath, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * Copies programs of this machine with their shared libraries into `tree`, a root directory for an image. Unlike static busybox they
 * resolve names. Answers the directory.
 */
export async function debianTree(tree: string, programs: string[]): Promise<string> {
  const files = new Set(programs)
  for (const program of programs) {
    // A static program has no libraries, and ldd fails.
    const { stdout } = await run('ldd', [program]).catch(() => ({ stdout: '' }))
    for (const [library] of stdout.matchAll(/\/\S+/g)) files.add(library)
  }
  for (const directory of ['etc', 'tmp']) await mkdir(join(tree, directory), { recursive: true })
  await chmod(join(tree, 'tmp'), 0o1777)
  await writeFile(
    join(tree, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n',
  )
  for (const file of files) {
    await mkdir(dirname(join(tree, file)), { recursive: true })
    await copyFile(await realpath(file), join(tree, file))
  }
  return tree
}
