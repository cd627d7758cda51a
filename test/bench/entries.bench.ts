import { join } from 'node:path'
import { createKeys } from '../../core/keys.ts'
import { type JobEntry, jobEntrySchema } from '../../core/records/entry.ts'
import { openIdentity } from '../../operator/identity/identity.ts'
import { fileKeyStore, keysDir } from '../../operator/identity/keystore.ts'
import { enrolLocal } from '../../operator/local-setup.ts'
import type { Child } from '../../platform/child-process.ts'
import { systemClock } from '../../platform/clock.ts'
import { silentLog } from '../../platform/log.ts'
import { bundle } from '../../scripts/bundle.ts'
import { connectEtcd, type Etcd } from '../../store/etcd/client.ts'
import { eventually } from '../fault/eventually.ts'
import { temporaryDirectory } from '../servers/directory.ts'
import { startEtcd } from '../servers/etcd.ts'
import { flags, say, usage } from './figures.ts'
import { startPart, writeTls } from './program.ts'

/**
 * Many job entries in one agent, none due for months: the time until it claims, its memory, and its CPU while nothing happens and while
 * another agent comes and goes. The agent and its launcher are processes of the release, as on a server.
 *
 *   node test/bench/entries.bench.ts [--entries 100000] [--idle-seconds 30]
 */
const AGENT = 'one'
const TOGETHER = 1_000
const READY_WITHIN_MS = 600_000
const SETTLED = 0.05
const keys = createKeys()
const put = (key: string, value: string) => ({ compare: [], then: [{ put: key, value }] })

/** The last one in key order, due every second. Its first result shows that all before it are planned. */
const CANARY = 'zzz'

function entry(name: string, over: Partial<JobEntry>): string {
  return JSON.stringify(
    jobEntrySchema.parse({
      kind: 'job',
      uid: `uid-${name}`,
      generation: 1,
      pool: 'default',
      namespace: 'bench',
      name,
      timeZone: 'UTC',
      daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
      scheduleChangedAt: systemClock.now(),
      command: {
        placement: {},
        host: { user: 'nobody' },
        shell: ['/bin/sh', '-c'],
        script: 'df -h && free -m',
        env: [{ name: 'A', value: 'b' }],
        outputLimit: 10_485_760,
      },
      ...over,
    }),
  )
}

async function putEntries(etcd: Etcd, sign: (text: string) => string, count: number): Promise<number> {
  const month = ((new Date(systemClock.now()).getUTCMonth() + 6) % 12) + 1
  const one = (name: string, schedule: string, over: Partial<JobEntry> = {}) => {
    const text = sign(entry(name, { schedules: [schedule], ...over }))
    return put(keys.job({ pool: 'default', namespace: 'bench', name }), text)
  }
  let bytes = 0
  for (let from = 0; from < count; from += TOGETHER) {
    const names = Array.from({ length: Math.min(TOGETHER, count - from) }, (_, i) => `job-${from + i}`)
    const txns = names.map(name => one(name, `H H H ${month} *`))
    for (const { then } of txns) bytes += then[0]?.value.length ?? 0
    for (const answer of await etcd.batch(txns)) if ('ambiguous' in answer) throw answer.ambiguous
  }
  await etcd.batch([
    one(CANARY, '* * * * * *', { command: jobEntrySchema.shape.command.parse(canaryCommand) }),
  ])
  return bytes
}

const canaryCommand = {
  placement: {},
  host: {},
  shell: ['/bin/sh', '-c'],
  script: 'true',
  outputLimit: 1_024,
}

async function cpuDuring(agent: Child, act: () => Promise<unknown>): Promise<{ cpu: number; took: number }> {
  const [cpu, began] = [usage(agent.pid).cpuSeconds, systemClock.monotonic()]
  await act()
  return { cpu: usage(agent.pid).cpuSeconds - cpu, took: (systemClock.monotonic() - began) / 1_000 }
}

const sleep = (seconds: number) => systemClock.sleep(seconds * 1_000)

async function untilSettled(agent: Child): Promise<void> {
  for (;;) {
    const { cpu, took } = await cpuDuring(agent, () => sleep(2))
    if (cpu / took < SETTLED) return
  }
}

async function measure(agent: Child, etcd: Etcd, idleSeconds: number): Promise<void> {
  const began = systemClock.monotonic()
  const passed = () => (systemClock.monotonic() - began) / 1_000
  const exists = async (prefix: string) => (await etcd.list(prefix)).items.length > 0
  await eventually('a session', () => exists(keys.agent('default', AGENT)), READY_WITHIN_MS)
  const session = passed()
  await eventually('it claims', () => exists(keys.results), READY_WITHIN_MS)
  say('start', { 'session-s': session, 'claims-after-s': passed(), ...usage(agent.pid) })

  const canary = keys.job({ pool: 'default', namespace: 'bench', name: CANARY })
  await etcd.txn({ compare: [], then: [{ delete: canary }] })
  // By now it has returned the memory that its start needed.
  await sleep(20)
  await untilSettled(agent)
  const idle = await cpuDuring(agent, () => sleep(idleSeconds))
  say('idle', { 'cpu-percent': (idle.cpu / idle.took) * 100, ...usage(agent.pid) })

  const other = [keys.member('default', 'two'), keys.agent('default', 'two')] as const
  const values = [{ enrolledAt: 0 }, { version: 'bench', instance: 'i', startedAt: 0 }]
  const comes = () => etcd.batch(other.map((key, i) => put(key, JSON.stringify(values[i]))))
  const goes = () => etcd.batch(other.map(key => ({ compare: [], then: [{ delete: key }] })))
  for (const [what, act] of [
    ['another agent comes', comes],
    ['another agent goes', goes],
  ] as const) {
    const { cpu } = await cpuDuring(agent, () =>
      act()
        .then(() => sleep(3))
        .then(() => untilSettled(agent)),
    )
    say(what, { 'cpu-s': cpu, ...usage(agent.pid) })
  }
}

const given = flags({ entries: 100_000, 'idle-seconds': 30 })
const directory = await temporaryDirectory('shellcron-entries-')
const cluster = await startEtcd()
const etcd = connectEtcd({ ...cluster, log: silentLog })
try {
  const [state, identity] = [join(directory.path, 'operator'), join(directory.path, 'identity')]
  await enrolLocal({ stateDir: state, name: AGENT, pool: 'default', dir: identity })
  await writeTls(identity, cluster)
  const { sign } = await openIdentity(await fileKeyStore(keysDir(state)))
  const pool = { ttlSeconds: 30, paused: false, draining: false, sealKey: '' }
  await etcd.txn(put(keys.pool('default'), JSON.stringify(pool)))
  await etcd.txn(put(keys.member('default', AGENT), JSON.stringify({ enrolledAt: 0 })))
  const bytes = await putEntries(etcd, sign, given.entries)
  say('in etcd', { entries: given.entries, 'value-bytes-each': Math.round(bytes / given.entries) })

  const args = ['--identity', identity, '--name', AGENT, '--state', join(directory.path, 'agent')]
  await bundle(join(directory.path, 'release'))
  const agent = await startPart(
    ['agent', ...args, '--drain-seconds', '1'],
    cluster,
    join(directory.path, 'release'),
  )
  try {
    await measure(agent, etcd, given['idle-seconds'])
  } finally {
    await agent.stop(30_000)
  }
} finally {
  await etcd.close()
  await cluster.stop()
  await directory.remove()
}
