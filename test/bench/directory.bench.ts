import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createKeys } from '../../core/keys.ts'
import { systemClock } from '../../platform/clock.ts'
import { freePorts } from '../../platform/free-ports.ts'
import { silentLog } from '../../platform/log.ts'
import { bundle } from '../../scripts/bundle.ts'
import { connectEtcd, type Etcd } from '../../store/etcd/client.ts'
import { eventually } from '../fault/eventually.ts'
import { partsOf } from '../fixtures/processes.ts'
import { type Up, upOn } from '../fixtures/up.ts'
import { temporaryDirectory } from '../servers/directory.ts'
import { flags, median, say, usage } from './figures.ts'

/**
 * `shellcron up` of the release on a directory with many jobs, none of them due: CPU and memory of each process while it is idle, and the time from an edit
 * of one file until etcd has the new entry, or from the suspension of 31 jobs until etcd has all of them suspended.
 *
 *   node test/bench/directory.bench.ts [--jobs 10000] [--files 100] [--idle-seconds 30] [--edits 5] [--statuses 1]
 *
 * `--statuses 0` measures as soon as all entries are in etcd. The operator then still writes the statuses of new jobs.
 */
const LIMIT_MS = 1_800_000
/** A look lists everything, which uses memory and CPU of etcd. So the times of the first start are this precise, ms. */
const LOOK_MS = 5_000
/** How often to look whether an edit has arrived, ms. */
const EDIT_LOOK_MS = 20
const SUSPENDED = 31
const keys = createKeys()

const nameOf = (i: number) => `job-${String(i).padStart(6, '0')}`

const job = (
  i: number,
  { command, suspend = false }: { command: string; suspend?: boolean },
) => `apiVersion: shellcron.dev/v1alpha1
kind: ShellCronJob
metadata: { name: ${nameOf(i)}, namespace: bench, labels: { team: team-${i % 50} } }
spec:
  schedule: "H H 1 1 *"
  suspend: ${suspend}
  template: { spec: { host: {}, script: "df -h && free -m # ${command}", env: [{ name: A, value: b }] } }
`

interface Files {
  jobs: number
  files: number
}

/** The jobs of file `n` of `files`. They are dealt out in turn. */
function jobsOf(n: number, { jobs, files }: Files): number[] {
  return Array.from({ length: jobs }, (_, i) => i).filter(i => i % files === n)
}

/** `command`: of the first job. `suspended`: how many of its jobs are suspended. */
function fileText(n: number, of: Files, { command = `${n}`, suspended = 0 } = {}): string {
  const text = (i: number, place: number) =>
    job(i, { command: i === n ? command : `${i}`, suspend: place < suspended })
  return jobsOf(n, of).map(text).join('---\n')
}

async function save(path: string, text: string): Promise<void> {
  await writeFile(`${path}~`, text)
  await rename(`${path}~`, path)
}

/** Proportional set size: pages that processes share count once in all. */
async function pssMb(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1]) / 1_024
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  await eventually(what, async () => (await check()) || (await systemClock.sleep(LOOK_MS), false), LIMIT_MS)
}

async function seconds(act: () => Promise<unknown>): Promise<number> {
  const began = systemClock.monotonic()
  await act()
  return (systemClock.monotonic() - began) / 1_000
}

const processesOf = (up: Up): Record<string, number> => ({ up: up.child.pid, ...partsOf(up.directory) })

async function idle(up: Up, forSeconds: number): Promise<void> {
  const before = Object.entries(processesOf(up)).map(
    ([name, pid]) => [name, pid, usage(pid).cpuSeconds] as const,
  )
  const took = await seconds(() => systemClock.sleep(forSeconds * 1_000))
  const all = { percent: 0, pss: 0 }
  for (const [name, pid, was] of before) {
    const percent = ((usage(pid).cpuSeconds - was) / took) * 100
    const pss = await pssMb(pid)
    say(`  ${name}`, { 'cpu-percent': percent, 'pss-mb': pss })
    all.percent += percent
    all.pss += pss
  }
  say('idle, in all', { 'cpu-percent': all.percent, 'pss-mb': all.pss })
}

const keyOf = (i: number) => keys.job({ pool: 'default', namespace: 'bench', name: nameOf(i) })

/** Suspends `count` jobs of each of these files, in seconds from the first save until all their entries are suspended. */
async function suspend(up: Up, etcd: Etcd, of: Files & { in: number[]; count: number }): Promise<number> {
  const suspended = of.in.flatMap(n => jobsOf(n, of).slice(0, of.count))
  const texts = of.in.map(n => [join(up.directory, `${n}.yaml`), fileText(n, of, { suspended: of.count })])
  return seconds(async () => {
    for (const [path = '', text = ''] of texts) await save(path, text)
    for (const i of suspended) {
      const isDone = async () => (await etcd.get(keyOf(i)))?.value.includes('\\"suspended\\":true') ?? false
      await eventually(
        `${nameOf(i)} is suspended`,
        async () => (await isDone()) || (await systemClock.sleep(EDIT_LOOK_MS), false),
        LIMIT_MS,
      )
    }
  })
}

/** The first job of a file is edited, in seconds until its entry has a new generation. */
async function edit(up: Up, etcd: Etcd, of: Files & { n: number }): Promise<number> {
  const key = keyOf(of.n)
  const before = (await etcd.get(key))?.mod
  const text = fileText(of.n, of, { command: `edited at ${systemClock.now()}` })
  return seconds(async () => {
    await save(join(up.directory, `${of.n}.yaml`), text)
    await eventually(
      'the edit is in force',
      async () => (await etcd.get(key))?.mod !== before || (await systemClock.sleep(EDIT_LOOK_MS), false),
      LIMIT_MS,
    )
  })
}

async function connect(up: Up, port: number): Promise<Etcd> {
  const tls = join(up.directory, '.shellcron', 'etcd-tls')
  const read = (name: string) =>
    eventually(name, () => readFile(join(tls, name), 'utf8').catch(() => undefined))
  const [ca, cert, key] = [await read('ca.crt'), await read('tls.crt'), await read('tls.key')]
  return connectEtcd({ endpoints: [`https://localhost:${port}`], tls: { ca, cert, key }, log: silentLog })
}

async function measure(up: Up, etcd: Etcd, given: Given): Promise<void> {
  const { jobs, files } = given
  for (let n = 0; n < files; n++) await save(join(up.directory, `${n}.yaml`), fileText(n, given))
  const count = async (prefix: string, has: string) =>
    (await etcd.list(prefix)).items.filter(({ value }) => value.includes(has)).length
  const entered = () => until('all entries', async () => (await count(keys.jobs('default'), '')) === jobs)
  say('first start', { jobs, files, 'entries-in-etcd-s': await seconds(entered) })
  if (given.statuses > 0) {
    const all = () => until('all statuses', async () => (await count(keys.statuses, '"conditions"')) >= jobs)
    say('first start', { 'then-statuses-s': await seconds(all) })
  }
  await idle(up, given['idle-seconds'])
  await change(up, etcd, given)
}

async function change(up: Up, etcd: Etcd, given: Given): Promise<void> {
  const { jobs, edits, files } = given
  const took: number[] = []
  for (let i = 0; i < edits; i++) took.push(await edit(up, etcd, { ...given, n: i % files }))
  say('an edit is in force', { edits, 'median-s': median(took), 'longest-s': Math.max(...took) })
  const together = await suspend(up, etcd, { jobs, files, in: [files - 1], count: SUSPENDED })
  const many = Array.from({ length: Math.min(SUSPENDED, files - 1) }, (_, n) => n)
  const apart = await suspend(up, etcd, { jobs, files, in: many, count: 1 })
  say(`${SUSPENDED} jobs are suspended`, { 'in-one-file-s': together, 'in-as-many-files-s': apart })
}

type Given = typeof given
const given = flags({ jobs: 10_000, files: 100, 'idle-seconds': 30, edits: 5, statuses: 1 })
const [port = 0] = await freePorts(1)
const directory = await temporaryDirectory('shellcron-directory-')
const release = join(directory.path, 'release')
await bundle(release)
const up = await upOn(undefined, ['--etcd-port', String(port)], { release })
let etcd: Etcd | undefined
try {
  etcd = await connect(up, port)
  await measure(up, etcd, given)
} finally {
  await etcd?.close()
  await up.interrupt()
  await up.remove()
  await directory.remove()
}
