import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const BUSYBOX = '/bin/busybox'

/** Images for tests, without a registry: Docker archives that contain busybox, under its name, another name or none. */
const IMAGES = {
  /** With a shell and all programs of busybox. */
  'localhost/busybox:1': undefined,
  /** One program and no shell. */
  'localhost/noshell:1': ['sleep'],
  'localhost/pause:1': ['sleep'],
} as const

/** Makes an archive for each image in `dir`. Resolves to their paths. Needs a static `busybox` and `tar`. */
export async function makeImages(dir: string): Promise<string[]> {
  const { stdout } = await run(BUSYBOX, ['--list'])
  const all = stdout.trim().split('\n')
  return Promise.all(
    Object.entries(IMAGES).map(([name, applets], index) =>
      makeImage(join(dir, `image-${index}`), name, applets ?? all),
    ),
  )
}

async function makeImage(dir: string, name: string, applets: readonly string[]): Promise<string> {
  const root = join(dir, 'root')
  for (const folder of ['bin', 'etc', 'tmp', 'root']) await mkdir(join(root, folder), { recursive: true })
  await writeFile(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n',
  )
  await copyFile(BUSYBOX, join(root, 'bin', applets.includes('sh') ? 'busybox' : 'sleep'))
  if (applets.includes('sh')) {
    for (const applet of applets) {
      if (applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet))
    }
  }
  const layer = join(dir, 'layer.tar')
  await run('tar', ['-C', root, '--owner=0', '--group=0', '-cf', layer, '.'])
  const digest = createHash('sha256')
    .update(await readFile(layer))
    .digest('hex')
  const config = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Env: ['PATH=/bin', 'FROM_IMAGE=yes'], Cmd: ['/bin/sleep', '2147483647'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
  }
  await writeFile(join(dir, 'config.json'), JSON.stringify(config))
  const manifest = [{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }]
  await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest))
  const archive = `${dir}.tar`
  await run('tar', ['-C', dir, '-cf', archive, 'manifest.json', 'config.json', 'layer.tar'])
  return archive
}
