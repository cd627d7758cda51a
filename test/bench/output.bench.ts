import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Attempt, readAttempts, readLatest, readOutput } from '../../cli/logs/client.ts'
import { systemClock } from '../../platform/clock.ts'
import { bundle } from '../../scripts/bundle.ts'
import { eventually } from '../fault/eventually.ts'
import { partsOf } from '../fixtures/processes.ts'
import { type Up, upOn } from '../fixtures/up.ts'
import { temporaryDirectory } from '../servers/directory.ts'
import { flags, quantile, say, usage } from './figures.ts'

/**
 * Output on `shellcron up` of the release: the time from the write of a line to its arrival at `shellcron logs -f`; and a large output, with
 * the memory of agent, launcher and operator.
 *
 *   node test/bench/output.bench.ts [--lines 200] [--mb 100]
 */
const PAUSE_SECONDS = 0.05
const WITHIN_MS = 600_000

async function start(up: Up, name: string, script: string): Promise<Attempt> {
  await writeFile(
    join(up.directory, `${name}.yaml`),
    `apiVersion: shellcron.dev/v1alpha1
kind: ShellRun
metadata: { name: ${name} }
spec: { template: { spec: { host: {}, outputLimit: 2Gi, script: ${JSON.stringify(script)} } } }
`,
  )
  const socket = socketOf(up)
  return eventually('it is known', async () => {
    const run = await readLatest(socket, { kind: 'run', namespace: 'default', name }).catch(() => undefined)
    return run === undefined ? undefined : (await readAttempts(socket, run)).attempts.at(-1)
  })
}

const socketOf = (up: Up) => join(up.directory, '.shellcron', 'operator.sock')

async function tail(up: Up, lines: number): Promise<number[]> {
  const attempt = await start(
    up,
    'tail',
    `for n in $(seq ${lines}); do date +%s%N; sleep ${PAUSE_SECONDS}; done`,
  )
  const latencies: number[] = []
  let rest = ''
  for await (const { chunk } of readOutput(socketOf(up), { ...attempt, follow: true })) {
    if (chunk.stream !== 'stdout') continue
    const now = systemClock.now()
    const texts = (rest + Buffer.from(chunk.data).toString()).split('\n')
    rest = texts.pop() ?? ''
    for (const text of texts) latencies.push(now - Number(text) / 1e6)
  }
  return latencies.sort((a, b) => a - b)
}

async function flood(up: Up, mb: number): Promise<void> {
  const parts = Object.entries(partsOf(up.directory))
  const before = new Map(parts.map(([name, pid]) => [name, usage(pid)]))
  const from = systemClock.monotonic()
  const bytes = mb * 1_000_000
  const { run } = await start(up, 'flood', `yes 'a line of the output that is written' | head -c ${bytes}`)
  const isStored = async () =>
    (await readAttempts(socketOf(up), run)).attempts.some(({ output }) => output?.ended)
  await eventually('all is stored', isStored, WITHIN_MS)
  const seconds = (systemClock.monotonic() - from) / 1_000
  say('a lot at once', { mb, seconds, 'mb-per-second': mb / seconds })
  for (const [name, pid] of parts) {
    const { rssMb, peakMb, cpuSeconds } = usage(pid)
    const was = before.get(name)
    say(`  ${name}`, {
      'rss-before-mb': was?.rssMb ?? 0,
      'rss-after-mb': rssMb,
      'peak-mb': peakMb,
      'cpu-seconds': cpuSeconds - (was?.cpuSeconds ?? 0),
    })
  }
}

const { lines, mb } = flags({ lines: 200, mb: 100 })
const directory = await temporaryDirectory('shellcron-output-')
const release = join(directory.path, 'release')
await bundle(release)
const up = await upOn(undefined, [], { release })
try {
  await eventually(
    'it is up',
    async () => (await start(up, 'first', 'head -c 3000000 /dev/zero')) !== undefined,
  )
  if (lines > 0) {
    const sorted = await tail(up, lines)
    const [p50, p99] = [0.5, 0.99].map(p => quantile(sorted, p))
    say('live tail, ms', { n: sorted.length, p50: p50 ?? 0, p99: p99 ?? 0, longest: sorted.at(-1) ?? 0 })
  }
  if (mb > 0) await flood(up, mb)
} finally {
  await up.interrupt()
  await up.remove()
  await directory.remove()
}
