/**
 * `make generate`: writes what the chart repeats: its copies of the CRDs, and the table of values in its README, from the comments in
 * values.yaml. With --check it writes nothing, and fails if a file is out of date.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMap, isScalar, type Pair, parseDocument } from 'yaml'

const CHART = fileURLToPath(new URL('../charts/shellcron', import.meta.url))
const CRDS = fileURLToPath(new URL('../crds', import.meta.url))
const START = '<!-- values: generated from values.yaml by `make generate` -->'
const END = '<!-- end of values -->'

/** The rows of the table: each value that a comment beginning with `-- ` describes. */
export function tableOf(values: string): string {
  const document = parseDocument(values)
  const rows: string[] = []
  walk(document.contents, [], rows)
  const comments = values.match(/^ *# -- /gm)?.length ?? 0
  if (comments !== rows.length)
    throw new Error(`${comments} values have a comment, but ${rows.length} were found`)
  return ['| value | default | meaning |', '|---|---|---|', ...rows].join('\n')
}

function walk(node: unknown, path: readonly string[], rows: string[]): void {
  if (!isMap(node)) return
  for (const [index, pair] of (node.items as Pair[]).entries()) {
    const key = isScalar(pair.key) ? String(pair.key.value) : ''
    const here = [...path, key]
    // The comment before the first key of a map belongs to the map.
    const comment =
      (index === 0 ? node.commentBefore : undefined) ??
      (isScalar(pair.key) ? pair.key.commentBefore : undefined)
    const meaning = meaningOf(comment)
    if (meaning !== undefined) rows.push(`| \`${here.join('.')}\` | ${defaultOf(pair.value)} | ${meaning} |`)
    walk(pair.value, here, rows)
  }
}

/** The last paragraph of a comment, if it begins with `-- `. */
function meaningOf(comment: string | null | undefined): string | undefined {
  const lines = (comment ?? '').split('\n').map(line => line.trim())
  const start = lines.findLastIndex(line => line.startsWith('-- '))
  return start < 0 ? undefined : lines.slice(start).join(' ').slice(3).replaceAll('|', '\\|')
}

function defaultOf(value: unknown): string {
  const plain = (value as { toJSON?(): unknown } | null)?.toJSON?.()
  const text = JSON.stringify(plain ?? null)
  return text.length > 80 ? '' : `\`${text}\``
}

async function main(isChecking: boolean): Promise<void> {
  const stale: string[] = []
  const put = async (path: string, text: string) => {
    if ((await readFile(join(CHART, path), 'utf8').catch(() => undefined)) === text) return
    stale.push(path)
    if (!isChecking) await writeFile(join(CHART, path), text)
  }
  await mkdir(join(CHART, 'files/crds'), { recursive: true })
  const crds = await readdir(CRDS)
  for (const name of crds) await put(`files/crds/${name}`, await readFile(join(CRDS, name), 'utf8'))
  for (const name of await readdir(join(CHART, 'files/crds'))) {
    if (crds.includes(name)) continue
    stale.push(`files/crds/${name}`)
    if (!isChecking) await rm(join(CHART, 'files/crds', name))
  }
  const readme = await readFile(join(CHART, 'README.md'), 'utf8')
  const [before = '', rest = ''] = readme.split(START)
  const [, after = ''] = rest.split(END)
  const table = tableOf(await readFile(join(CHART, 'values.yaml'), 'utf8'))
  await put('README.md', `${before}${START}\n\n${table}\n\n${END}${after}`)
  if (!isChecking || stale.length === 0) return
  process.stderr.write(`out of date in charts/shellcron: ${stale.join(', ')}; run make generate\n`)
  process.exitCode = 1
}

if (import.meta.main) await main(process.argv.includes('--check'))
