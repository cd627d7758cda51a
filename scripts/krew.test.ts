import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parse } from 'yaml'
import * as z from 'zod'
import { krewManifest } from './krew.ts'

/** What krew demands of a manifest: krew's internal/index/validation. */
const manifestSchema = z.strictObject({
  apiVersion: z.literal('krew.googlecontainertools.github.com/v1alpha2'),
  kind: z.literal('Plugin'),
  metadata: z.strictObject({ name: z.string().regex(/^[a-z][a-z0-9-]*$/) }),
  spec: z.strictObject({
    version: z.string().regex(/^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/),
    homepage: z.url(),
    shortDescription: z.string().min(1).max(50),
    description: z.string().min(1),
    platforms: z
      .array(
        z.strictObject({
          selector: z.strictObject({
            matchLabels: z.strictObject({ os: z.literal('linux'), arch: z.enum(['amd64', 'arm64']) }),
          }),
          uri: z.url().regex(/\.(tar\.gz|zip)$/),
          sha256: z.string().regex(/^[0-9a-f]{64}$/),
          bin: z.string().regex(/^[^/].*$/),
        }),
      )
      .min(1),
  }),
})

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shellcron-krew-'))
})
afterEach(() => rm(dir, { recursive: true }))

const of = () => ({
  tarballs: dir,
  version: '1.2.3',
  homepage: 'https://shellcron.example',
  downloads: 'https://downloads.example/v1.2.3/',
})

test('the manifest of a release is valid, and has the digest of each tarball', async () => {
  for (const arch of ['amd64', 'arm64'])
    await writeFile(join(dir, `shellcron-1.2.3-linux-${arch}.tar.gz`), arch)
  const { metadata, spec } = manifestSchema.parse(parse(await krewManifest(of())))
  expect([metadata.name, spec.version]).toEqual(['shellcron', 'v1.2.3'])
  for (const { selector, uri, sha256, bin } of spec.platforms) {
    const { arch } = selector.matchLabels
    expect(uri).toBe(`https://downloads.example/v1.2.3/shellcron-1.2.3-linux-${arch}.tar.gz`)
    expect(sha256).toBe(createHash('sha256').update(arch).digest('hex'))
    // The tarball has the release in `shellcron`, which has bin/ of the checkout.
    expect(existsSync(fileURLToPath(new URL(`../${bin.replace(/^shellcron\//, '')}`, import.meta.url)))).toBe(
      true,
    )
  }
})

test('a tarball that is missing is an error', async () => {
  await expect(krewManifest(of())).rejects.toThrow('shellcron-1.2.3-linux-amd64.tar.gz')
})
