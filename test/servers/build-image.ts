import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { configurePodman } from './podman.ts'

const run = promisify(execFile)

export interface ImageBuild {
  /** The image's name with a tag, such as `localhost/shellcron-agent:1`. */
  name: string
  /** Path of the Containerfile. */
  containerfile: string
  /** The directory that COPY reads from. */
  context: string
  /** Build arguments, such as BASE. */
  args?: Record<string, string>
  /** Archives of the images that FROM names. Nothing is pulled. */
  bases?: string[]
  /** The architecture of the image; default: this machine's. RUN works for that one only. */
  arch?: 'amd64' | 'arm64'
}

/**
 * Builds a Containerfile with Podman, without a registry. Writes the image as a Docker archive. Needs root. The kernel unmounts and kills
 * what is left when the build ends, because each step runs in namespaces of its own.
 */
export async function buildImage(archive: string, of: ImageBuild): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'shellcron-build-'))
  try {
    const env = { ...process.env, ...(await configurePodman(dir)) }
    const podman = (...args: string[]) =>
      run(
        '/usr/bin/unshare',
        ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'podman', ...args],
        {
          env,
          cwd: of.context,
          maxBuffer: 64 * 1024 ** 2,
        },
      )
    for (const base of of.bases ?? []) await podman('load', '--quiet', '--input', base)
    await podman('build', ...buildFlags(of), of.context)
    await rm(archive, { force: true })
    await podman('save', '--quiet', '--format=docker-archive', `--output=${archive}`, of.name)
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

function buildFlags({ name, containerfile, args = {}, arch = hostArch() }: ImageBuild): string[] {
  // Podman 4.3 does not set it.
  const all = { TARGETARCH: arch, ...args }
  return [
    `--file=${containerfile}`,
    `--tag=${name}`,
    `--platform=linux/${arch}`,
    '--pull=never',
    // RUN needs no network of its own and no control groups.
    '--isolation=chroot',
    '--network=host',
    // One layer: the storage copies each.
    '--layers=false',
    ...Object.entries(all).map(([key, value]) => `--build-arg=${key}=${value}`),
  ]
}

function hostArch(): 'amd64' | 'arm64' {
  return process.arch === 'arm64' ? 'arm64' : 'amd64'
}
