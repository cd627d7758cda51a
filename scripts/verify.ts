/** `make verify`: runs all checks, also after a failed one, so that one run shows every problem. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const node = process.execPath
const go = fileURLToPath(new URL('./go', import.meta.url))
/** All packages except the helper for containers, which is for Linux only. */
const vetPortable = [go, '-C', 'launcher', 'vet', './cmd/launcher/...', './internal/...']

interface Check {
  name: string
  command: string[]
  /** The GOOS of the check. */
  os?: 'linux' | 'darwin' | 'windows'
  /** The check fails if it prints anything. */
  isSilent?: boolean
}

const checks: Check[] = [
  { name: 'types', command: [node, 'node_modules/typescript/bin/tsc', '-p', '.'] },
  { name: 'lint', command: [node, 'node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings'] },
  { name: 'format', command: [node, 'node_modules/@biomejs/biome/bin/biome', 'check', '.'] },
  {
    name: 'architecture',
    command: [node, 'node_modules/vitest/vitest.mjs', 'run', 'test/architecture', '--reporter=dot'],
  },
  { name: 'generated files', command: [node, 'scripts/generate-crds.ts', '--check'] },
  { name: 'generated files of the chart', command: [node, 'scripts/chart-readme.ts', '--check'] },
  { name: 'dead code', command: [node, 'node_modules/knip/bin/knip.js'] },
  { name: 'go vet', command: [go, '-C', 'launcher', 'vet', './...'], os: 'linux' },
  { name: 'go vet for macOS', command: vetPortable, os: 'darwin' },
  { name: 'go vet for Windows', command: vetPortable, os: 'windows' },
  { name: 'go format', command: [go, 'run', 'cmd/gofmt', '-l', 'launcher', 'test'], isSilent: true },
]

let failed = 0
for (const { name, command, os, isSilent } of checks) {
  const [program = '', ...args] = command
  const env = os ? { ...process.env, GOOS: os, GOARCH: 'amd64' } : process.env
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', env })
  const passed = status === 0 && !(isSilent && stdout)
  if (!passed) failed++
  process.stdout.write(`${passed ? 'ok    ' : 'FAILED'} ${name}\n${passed ? '' : stdout + stderr}`)
}
process.exitCode = failed ? 1 : 0
