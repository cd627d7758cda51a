/**
 * Builds the release, `dist/shellcron`: a folder that needs only Node, no packages and no TypeScript. A process of it uses 40 MB less than one
 * of the checkout. The folder has the layout of the sources, so that files beside a source (package.json, the launchers) are found.
 */
import { cp, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const DIST = join(ROOT, 'dist')
const ENTRIES = ['cli/main.ts']
/** Copied unchanged. */
const BESIDE = ['package.json', 'LICENSE', 'bin', 'scripts/node', 'scripts/etcd', 'crds']
/** etcd3 reads these files when it is loaded, from the folder next to its own. */
const ETCD3_PROTO = 'node_modules/etcd3/proto'

/** CommonJS packages need these variables. Every chunk is one folder deep, as the program is, and etcd3's `proto` is next to that folder. */
const BANNER = [
  "import { createRequire as requireFrom } from 'node:module'",
  'const require = requireFrom(import.meta.url), __dirname = import.meta.dirname, __filename = import.meta.filename',
].join('\n')

/** Sources find files beside them by `import.meta.url`. A chunk is in another folder, so this inserts the path of the source. */
const sourceUrls: Plugin = {
  name: 'source-urls',
  setup(builder) {
    builder.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      if (!text.includes('import.meta.url') || path.includes('node_modules')) return undefined
      const url = `new URL('../${relative(ROOT, dirname(path))}/${basename(path, '.ts')}.js', import.meta.url)`
      const contents = text
        .replaceAll(/new URL\('([^']+)\.ts', import\.meta\.url\)/g, "new URL('$1.js', import.meta.url)")
        .replaceAll('import.meta.url', url)
      return { contents, loader: 'ts' }
    })
  },
}

/** Builds the folder `out` and replaces an existing one. */
export async function bundle(out: string): Promise<void> {
  const tmp = `${out}.new`
  await rm(tmp, { recursive: true, force: true })
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: ENTRIES,
    outbase: '.',
    outdir: tmp,
    bundle: true,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node24',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'external',
    banner: { js: BANNER },
    plugins: [sourceUrls],
    logLevel: 'error',
    metafile: true,
  })
  if (Object.keys(metafile.outputs).length === 0) throw new Error('esbuild wrote nothing')
  for (const path of BESIDE) await cp(join(ROOT, path), join(tmp, path), { recursive: true })
  for (const name of await builtPrograms()) await cp(join(DIST, name), join(tmp, 'dist', name))
  await cp(join(ROOT, ETCD3_PROTO), join(tmp, 'proto'), { recursive: true })
  await rm(out, { recursive: true, force: true })
  await mkdir(dirname(out), { recursive: true })
  await rename(tmp, out)
}

/** The programs that scripts/go-programs.ts has built. Throws if there is no launcher, because agents need one. */
async function builtPrograms(): Promise<string[]> {
  const names = await readdir(DIST).catch(() => [])
  const programs = names.filter(name => /^[a-z]+-linux-[a-z0-9]+$/.test(name))
  if (!programs.some(name => name.startsWith('launcher-')))
    throw new Error(`${DIST} has no launcher; run \`make build\``)
  return programs
}

if (import.meta.main) await bundle(join(DIST, 'shellcron'))
