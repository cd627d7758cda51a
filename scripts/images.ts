/**
 * Builds the images from packaging/images on local bases (scripts/local-base.ts), as Docker archives:
 *
 *   scripts/node scripts/images.ts DIR
 *
 * Needs `make build` before, and podman. Nothing is pulled. DIR gets operator.tar, agent.tar and etcd.tar.
 */
import { execFile } from 'node:child_process'
import { copyFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { etcdPrograms } from '../test/servers/binaries.ts'
import { makeAgentBase, makeOperatorBase } from './local-base.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FILES = join(ROOT, 'packaging/images')
const TAG = '0.0.0-local'

export interface BuiltImage {
  /** Such as `localhost/shellcron-operator:0.0.0-local`. */
  name: string
  /** Path of a Docker archive. */
  archive: string
}
export type Images = Record<'operator' | 'agent' | 'etcd', BuiltImage>

/** Builds all images for this machine. Resolves to their names and archives in `dir`. */
export async function buildImages(dir: string): Promise<Images> {
  const work = join(dir, 'build')
  try {
    const [operator, agent] = [join(work, 'operator-base'), join(work, 'agent-base')]
    await makeOperatorBase(operator)
    await makeAgentBase(agent)
    const programs = join(work, 'etcd')
    await mkdir(programs, { recursive: true })
    for (const name of ['etcd', 'etcdctl', 'etcdutl'])
      await copyFile(join(await etcdPrograms(), name), join(programs, name))
    return {
      operator: await buildOn(work, dir, { part: 'operator', base: operator }),
      agent: await buildOn(work, dir, { part: 'agent', base: agent }),
      etcd: await build(work, dir, { part: 'etcd', context: programs, args: [] }),
    }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function buildOn(
  work: string,
  dir: string,
  { part, base }: { part: 'operator' | 'agent'; base: string },
): Promise<BuiltImage> {
  const name = `localhost/${part}-base:${TAG}`
  await podman(work, ['build', '--file', join(FILES, 'base.Containerfile'), '--tag', name, base])
  return build(work, dir, { part, context: ROOT, args: ['--build-arg', `BASE=${name}`] })
}

async function build(
  work: string,
  dir: string,
  { part, context, args }: { part: string; context: string; args: string[] },
): Promise<BuiltImage> {
  const name = `localhost/shellcron-${part}:${TAG}`
  const file = join(FILES, `${part}.Containerfile`)
  await podman(work, [
    'build',
    '--file',
    file,
    '--ignorefile',
    join(FILES, 'containerignore'),
    '--tag',
    name,
    ...args,
    context,
  ])
  const archive = join(dir, `${part}.tar`)
  await rm(archive, { force: true })
  await podman(work, ['save', '--format', 'docker-archive', '--output', archive, name])
  return { name, archive }
}

/** All of podman's files are in `work`. The Containerfiles run no program, so no container is started. */
async function podman(work: string, args: string[]): Promise<void> {
  const own = ['--root', join(work, 'storage'), '--runroot', join(work, 'run'), '--storage-driver', 'vfs']
  const [command = '', ...rest] = args
  const isolation = command === 'build' ? ['--isolation', 'chroot', '--pull=never', '--quiet'] : ['--quiet']
  await run('podman', [...own, '--cgroup-manager', 'cgroupfs', command, ...isolation, ...rest], {
    maxBuffer: 16 * 1024 ** 2,
    env: { ...process.env, TMPDIR: work },
  })
}

if (import.meta.main) {
  const [dir] = process.argv.slice(2)
  if (dir === undefined) throw new Error('name the directory for the images')
  await mkdir(dir, { recursive: true })
  for (const { name, archive } of Object.values(await buildImages(dir)))
    process.stdout.write(`${name} ${archive}\n`)
}
