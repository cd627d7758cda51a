/** Writes the krew manifest of a release: scripts/krew.ts DIRECTORY-OF-THE-TARBALLS HOMEPAGE DOWNLOADS > shellcron.yaml */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TEMPLATE = join(ROOT, 'packaging/krew/shellcron.yaml')

export interface KrewOptions {
  /** The directory of the tarballs, `shellcron-VERSION-linux-ARCH.tar.gz`. */
  tarballs: string
  version: string
  homepage: string
  /** The URL of the directory from which they will be downloaded. */
  downloads: string
}

/** Throws if a tarball is missing, or the template has a variable that nobody fills. */
export async function krewManifest(of: KrewOptions): Promise<string> {
  const digest = (arch: string) => digestOf(join(of.tarballs, `shellcron-${of.version}-linux-${arch}.tar.gz`))
  const variables: Record<string, string> = {
    VERSION: of.version,
    HOMEPAGE: of.homepage,
    DOWNLOADS: of.downloads.replace(/\/$/, ''),
    SHA256_AMD64: await digest('amd64'),
    SHA256_ARM64: await digest('arm64'),
  }
  const template = await readFile(TEMPLATE, 'utf8')
  return template.replace(/^#.*\n/, '').replaceAll(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = variables[name]
    if (value === undefined) throw new Error(`${TEMPLATE} has an unknown variable: ${name}`)
    return value
  })
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const part of createReadStream(path)) hash.update(part as Buffer)
  return hash.digest('hex')
}

if (import.meta.main) {
  const [tarballs, homepage, downloads] = process.argv.slice(2)
  if (!tarballs || !homepage || !downloads) {
    process.stderr.write('use: scripts/krew.ts DIRECTORY-OF-THE-TARBALLS HOMEPAGE DOWNLOADS\n')
    process.exit(2)
  }
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  process.stdout.write(await krewManifest({ tarballs, homepage, downloads, version }))
}
