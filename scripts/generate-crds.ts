/** `make generate`: writes crds/ from core/schema. With --check it writes nothing, and fails if a file is out of date. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { crdOf } from '../core/schema/crd.ts'
import { KINDS, type Kind } from '../core/schema/objects.ts'

const dir = fileURLToPath(new URL('../crds/', import.meta.url))
const checking = process.argv.includes('--check')
const stale: string[] = []

mkdirSync(dir, { recursive: true })
for (const kind of Object.keys(KINDS) as Kind[]) {
  const file = `${dir}${kind.toLowerCase()}.yaml`
  const text = `# Generated from core/schema by \`make generate\`: do not edit.\n${stringify(crdOf(kind), { lineWidth: 0, aliasDuplicateObjects: false })}`
  if (!checking) writeFileSync(file, text)
  else if (read(file) !== text) stale.push(`crds/${kind.toLowerCase()}.yaml`)
}
if (stale.length > 0) {
  process.stderr.write(`out of date: ${stale.join(', ')}; run make generate\n`)
  process.exitCode = 1
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
