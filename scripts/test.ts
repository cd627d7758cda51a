/** `make test` runs the projects `unit` and `server`; `--project NAME` runs another one. The last line is `N passed, N failed`, and the exit code is 1 if a test failed. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const dir = mkdtempSync(join(tmpdir(), 'shellcron-report-'))
const report = join(dir, 'vitest.json')
const args = [
  'node_modules/vitest/vitest.mjs',
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
]
const given = process.argv.slice(2)
const projects = given.some(arg => arg.startsWith('--project')) ? [] : ['--project=unit', '--project=server']
const { status } = spawnSync(process.execPath, [...args, ...projects, ...given], { stdio: 'inherit' })

let passed = 0
let failed = status === 0 ? 0 : 1
try {
  const counts = JSON.parse(readFileSync(report, 'utf8')) as {
    numPassedTests: number
    numFailedTests: number
  }
  passed = counts.numPassedTests
  // A run can fail without a failed test: a suite does not load, or a rejection is unhandled. Counts as one failure.
  failed = Math.max(failed, counts.numFailedTests)
} finally {
  rmSync(dir, { recursive: true, force: true })
}
process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exitCode = failed ? 1 : 0
