import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
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
  await chmod(join(root, 'tmp'), 0o1777)
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
  await makeArchive(`${dir}.tar`, {
    name,
    tree: root,
    env: ['PATH=/bin', 'FROM_IMAGE=yes'],
    cmd: ['/bin/sleep', '2147483647'],
  })
  return `${dir}.tar`
}

/** Makes an image with one static program, its entrypoint. Resolves to the archive. */
export async function makeProgramImage(
  archive: string,
  of: { name: string; program: string; path: string },
): Promise<string> {
  const tree = await mkdtemp(`${archive}.`)
  try {
    const path = join(tree, of.path)
    await mkdir(dirname(path), { recursive: true })
    await copyFile(of.program, path)
    await makeArchive(archive, { name: of.name, tree, entrypoint: [of.path] })
  } finally {
    await rm(tree, { recursive: true, force: true })
  }
  return archive
}

/** An image of one layer. */
export interface TestImage {
  /** With a tag, such as `localhost/busybox:1`. */
  name: string
  /** The directory that becomes its root directory. All its files are root's. */
  tree: string
  /** Default: root. */
  user?: string
  entrypoint?: string[]
  cmd?: string[]
  /** Such as `PATH=/bin`; default: the PATH of Debian. */
  env?: string[]
  workingDir?: string
}

/** Writes an image as a Docker archive, which containerd, Podman and Docker load. Needs `tar`. */
export async function makeArchive(archive: string, of: TestImage): Promise<void> {
  const dir = await mkdtemp(`${archive}.`)
  try {
    const layer = join(dir, 'layer.tar')
    await run('tar', ['-C', of.tree, '--owner=0', '--group=0', '-cf', layer, '.'])
    const digest = await sha256(layer)
    const config = {
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: {
        Env: of.env ?? ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        ...(of.user ? { User: of.user } : {}),
        ...(of.entrypoint ? { Entrypoint: of.entrypoint } : {}),
        ...(of.cmd ? { Cmd: of.cmd } : {}),
        ...(of.workingDir ? { WorkingDir: of.workingDir } : {}),
      },
      rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
    }
    await writeFile(join(dir, 'config.json'), JSON.stringify(config))
    const manifest = [{ Config: 'config.json', RepoTags: [of.name], Layers: ['layer.tar'] }]
    await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest))
    await run('tar', ['-C', dir, '-cf', archive, 'manifest.json', 'config.json', 'layer.tar'])
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece)
  return hash.digest('hex')
}
