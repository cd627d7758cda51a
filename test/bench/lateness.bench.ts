import { statSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { systemClock } from '../../platform/clock.ts'
import { eventually } from '../fault/eventually.ts'
import { startIngest } from '../fixtures/ingest.ts'
import { command, type ScriptedPool, startScriptedPool } from '../fixtures/pool.ts'
import { startEtcd } from '../servers/etcd.ts'
import { flags, median, quantile, say } from './figures.ts'
import { buildFloor, type Floor, latenesses, stampsOf } from './floor/floor.ts'

/**
 * From the scheduled time to the first instruction of the command: one job a second, then many in one second; each next to the floor in the
 * same minute. A real etcd, the agent in this process, its launcher in another. Everything is claimed, spooled and recorded.
 *
 *   node test/bench/lateness.bench.ts [--seconds 30] [--burst 1000] [--runs 3] [--busy-ms 0] [--ship 0]
 *
 * `--busy-ms n`: the agent's event loop is blocked for n of every n + 50 ms while one job a second runs. Runs that are already armed must
 * still start on time.
 * `--ship 1`: output is sent to an operator's ingest, which is in this process too.
 */
const LOOP_PROBE_MS = 5
const QUIET_MS = 500
/** The pause between two blocks of the event loop, ms. */
const PAUSE_MS = 50
/**
 * How long before their instant the jobs of a burst are put, s: agents know jobs well before, and putting many takes a while. And the limit
 * until all are recorded, ms.
 */
const AHEAD_SECONDS = 20
const PUT_IN_A_SECOND = 200
const RECORDED_WITHIN_MS = 180_000

interface Bench {
  pool: ScriptedPool
  floor: Floor
}

const EARLY_MS = 20

async function oneJobASecond({ pool, floor }: Bench, seconds: number, run: number): Promise<number[]> {
  // A new name: a job with the name of a deleted one waits until the old cell is gone.
  const name = `second-${run}`
  const file = join(floor.dir, name)
  // Put most of a second before it is due for the first time: otherwise the put itself would count as lateness.
  // A timer may fire early: a put right at an instant could be before it, and the job due.
  await systemClock.sleep(1_000 - (systemClock.now() % 1_000) + EARLY_MS)
  await pool.putJob({
    name,
    uid: name,
    scheduleChangedAt: systemClock.now(),
    command: command(`${floor.stamp} j0 ${file}`),
  })
  await systemClock.sleep((seconds + 1) * 1_000)
  await pool.remove(pool.keys.job({ pool: 'default', namespace: 'test', name }))
  await pool.remove(pool.keys.cell({ pool: 'default', kind: 'job', namespace: 'test', name, target: '-' }))
  return latenesses(file)
}

/** Blocks the agent's event loop, as a long computation would, until it is stopped. */
function keepBusy(ms: number): () => void {
  const stop = new AbortController()
  const block = async () => {
    while (!stop.signal.aborted) {
      const until = performance.now() + ms
      while (performance.now() < until);
      await systemClock.sleep(PAUSE_MS)
    }
  }
  if (ms > 0) void block()
  return () => stop.abort()
}

async function burst({ pool, floor }: Bench, count: number, run: number) {
  const file = join(floor.dir, `at-once-${run}`)
  const due = (Math.ceil(systemClock.now() / 1_000 + count / PUT_IN_A_SECOND) + AHEAD_SECONDS) * 1_000
  const names = Array.from({ length: count }, (_, i) => `r${run}-${i}`)
  const schedules = [onceAt(new Date(due))]
  const put = (name: string) =>
    pool.putJob({ name, uid: name, schedules, command: command(`${floor.stamp} ${name} ${file}`) })
  await Promise.all(names.map(put))
  const before = (await pool.results()).length
  if (systemClock.now() > due - 3_000)
    throw new Error('the jobs of the burst were put too late: less than 3 s before their instant')
  await eventually('the instant is near', () => systemClock.now() > due - 1_500, RECORDED_WITHIN_MS)
  const loop = monitorEventLoopDelay({ resolution: LOOP_PROBE_MS })
  loop.enable()
  // Does not read etcd meanwhile: that would use the same cores, and the event loop that is measured.
  await untilQuiet(file)
  loop.disable()
  const recorded = async () => (await pool.results()).length >= before + count
  await eventually('all are recorded', recorded, RECORDED_WITHIN_MS)
  const started = new Set(stampsOf(file).map(({ name }) => name)).size
  const sorted = latenesses(file, due)
  return {
    sorted,
    missed: count - started,
    doubled: sorted.length - started,
    loopMs: Math.max(0, loop.max / 1e6 - LOOP_PROBE_MS),
  }
}

/** Waits while the file grows: commands still start. */
async function untilQuiet(file: string): Promise<void> {
  let before = -1
  for (let still = 0; still < 6; ) {
    await systemClock.sleep(QUIET_MS)
    const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
    still = size === before ? still + 1 : 0
    before = size
  }
}

function onceAt(at: Date): string {
  const time = `${at.getUTCSeconds()} ${at.getUTCMinutes()} ${at.getUTCHours()}`
  return `${time} ${at.getUTCDate()} ${at.getUTCMonth() + 1} *`
}

function figuresOf(sorted: readonly number[]) {
  const [first = Number.NaN] = sorted
  const last = sorted.at(-1) ?? Number.NaN
  return { first, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), last }
}

async function measureSeconds(bench: Bench, seconds: number, runs: number, busyMs: number) {
  const all: { floor: number[]; ours: number[] } = { floor: [], ours: [] }
  for (let run = 0; run < runs; run++) {
    const floor = await bench.floor.everySecond(seconds)
    const idle = keepBusy(busyMs)
    const ours = await oneJobASecond(bench, seconds, run).finally(idle)
    say('one a second, floor, ms', figuresOf(floor))
    say('one a second, shellcron, ms', { n: ours.length, 'busy-ms': busyMs, ...figuresOf(ours) })
    all.floor.push(...floor)
    all.ours.push(...ours)
  }
  const [floor, ours] = [all.floor, all.ours].map(each => figuresOf(each.toSorted((a, b) => a - b)))
  if (!floor || !ours) return
  say('one a second, all, floor, ms', { n: all.floor.length, ...floor })
  say('one a second, all, shellcron, ms', { n: all.ours.length, ...ours })
  say('one a second, to the floor', { p50: ours.p50 / floor.p50, p99: ours.p99 / floor.p99 })
}

async function measureBurst(bench: Bench, count: number, runs: number): Promise<void> {
  const ratios: number[] = []
  for (let run = 0; run < runs; run++) {
    const floor = figuresOf(await bench.floor.burst(count))
    const { sorted, missed, doubled, loopMs } = await burst(bench, count, run)
    say(`${count} at once, floor, ms`, floor)
    say(`${count} at once, shellcron, ms`, { ...figuresOf(sorted), missed, doubled, 'loop-late': loopMs })
    ratios.push(figuresOf(sorted).last / floor.last)
  }
  say(`${count} at once, last to the floor`, { median: median(ratios) })
}

const given = flags({ seconds: 30, burst: 1_000, runs: 3, 'busy-ms': 0, ship: 0 })
const { seconds, burst: count, runs, ship } = given
const floor = await buildFloor()
const etcd = await startEtcd()
const pool = await startScriptedPool(etcd, 30)
const ingest = ship > 0 ? await startIngest() : undefined
try {
  await pool.putMember('a')
  await pool.agent('a', ingest ? { ingest: await ingest.client('a') } : {})
  if (seconds > 0) await measureSeconds({ pool, floor }, seconds, runs, given['busy-ms'])
  if (count > 0) await measureBurst({ pool, floor }, count, runs)
} finally {
  await pool.close()
  await ingest?.close()
  await etcd.stop()
  await floor.remove()
}
