/** `make verify`: every check, each to its end, so that one run shows all that is wrong. */
import { spawnSync } from 'node:child_process'

const node = process.execPath
const checks: { name: string; command: string[] }[] = [
  { name: 'types', command: [node, 'node_modules/typescript/bin/tsc', '-p', '.'] },
  { name: 'lint', command: [node, 'node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings'] },
  { name: 'format', command: [node, 'node_modules/@biomejs/biome/bin/biome', 'check', '.'] },
  {
    name: 'architecture',
    command: [node, 'node_modules/vitest/vitest.mjs', 'run', 'test/architecture', '--reporter=dot'],
  },
  { name: 'generated files', command: [node, 'scripts/generate-crds.ts', '--check'] },
  { name: 'dead code', command: [node, 'node_modules/knip/bin/knip.js'] },
  { name: 'go vet', command: ['go', '-C', 'launcher/native', 'vet', './...'] },
  { name: 'go format', command: ['go', 'run', 'cmd/gofmt', '-l', 'launcher/native'] },
]

let failed = 0
for (const { name, command } of checks) {
  const [program = '', ...args] = command
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' })
  if (program === 'go' && (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') {
    process.stdout.write(`skip   ${name}: there is no Go\n`)
    continue
  }
  if (status !== 0) failed++
  process.stdout.write(
    `${status === 0 ? 'ok    ' : 'FAILED'} ${name}\n${status === 0 ? '' : stdout + stderr}`,
  )
}
process.exitCode = failed ? 1 : 0
