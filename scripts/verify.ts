/** `make verify`: every check, each to its end, so that one run shows all that is wrong. */
import { spawnSync } from 'node:child_process'

const node = process.execPath
/** `isSilent`: what it prints is what is wrong. */
const checks: { name: string; command: string[]; isSilent?: boolean }[] = [
  { name: 'types', command: [node, 'node_modules/typescript/bin/tsc', '-p', '.'] },
  { name: 'lint', command: [node, 'node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings'] },
  { name: 'format', command: [node, 'node_modules/@biomejs/biome/bin/biome', 'check', '.'] },
  {
    name: 'architecture',
    command: [node, 'node_modules/vitest/vitest.mjs', 'run', 'test/architecture', '--reporter=dot'],
  },
  { name: 'generated files', command: [node, 'scripts/generate-crds.ts', '--check'] },
  { name: 'dead code', command: [node, 'node_modules/knip/bin/knip.js'] },
  { name: 'go vet', command: ['go', '-C', 'launcher', 'vet', './...'] },
  { name: 'go format', command: ['go', 'run', 'cmd/gofmt', '-l', 'launcher', 'test'], isSilent: true },
]

let failed = 0
for (const { name, command, isSilent } of checks) {
  const [program = '', ...args] = command
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' })
  if (program === 'go' && (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') {
    process.stdout.write(`skip   ${name}: there is no Go\n`)
    continue
  }
  const passed = status === 0 && !(isSilent && stdout)
  if (!passed) failed++
  process.stdout.write(`${passed ? 'ok    ' : 'FAILED'} ${name}\n${passed ? '' : stdout + stderr}`)
}
process.exitCode = failed ? 1 : 0
