import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createKeys } from '../../core/keys.ts'
import type { RunStatus } from '../../core/schema/status.ts'
import { systemClock } from '../../platform/clock.ts'
import type { KubeApi } from '../../platform/kubernetes/api.ts'
import { connectKubernetes } from '../../platform/kubernetes/connect.ts'
import { eventually } from '../fault/eventually.ts'
import { AGENT, type KubernetesFleet, startKubernetesFleet } from '../fixtures/kubernetes-fleet.ts'
import {
  cluster,
  host,
  job,
  NS,
  policy,
  run,
  type Seen,
  trueConditions,
  type View,
  viewOf,
} from '../fixtures/kubernetes-objects.ts'

/** ShellCron as its users see it: kubectl, a real API server, the operator and an agent as processes. */
let fleet: KubernetesFleet
let api: KubeApi
let see: View
/** A namespace without a ShellPolicy. */
const STRICT = 'strict'
const T = 'spec.template.spec'

beforeAll(async () => {
  fleet = await startKubernetesFleet()
  api = connectKubernetes(fleet.kubernetes.adminKubeconfig)
  see = viewOf(api)
  for (const namespace of [NS, STRICT]) await kubectl('create', 'namespace', namespace)
  await apply(
    cluster('ShellPool', 'default', { sessionTTLSeconds: 10 }),
    cluster('ShellAgent', AGENT, { external: {} }),
    policy(NS),
  )
  for (const what of [`shellagent/${AGENT}`, `shellpolicy/${NS}`, 'shellpool/default'])
    await kubectl('wait', what, '--for=condition=Ready', '--timeout=60s')
})
afterAll(() => fleet?.stop())

const kubectl = (...args: string[]) => fleet.kubernetes.kubectl(args)
const apply = (...items: object[]) =>
  fleet.kubernetes.kubectl(['apply', '-f', '-'], {
    stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  })
const remove = (kind: string, name: string) => kubectl('delete', kind, name, '-n', NS, '--timeout=60s')

const file = (name: string) => join(fleet.dir, name)
const lines = async (name: string) =>
  (await readFile(file(name), 'utf8').catch(() => '')).split('\n').slice(0, -1)

describe('a job of every second', () => {
  test('is Ready, runs, and its status follows within 2 s', async () => {
    await apply(job('tick', 'echo tick', { schedule: '* * * * * *' }))
    await kubectl('wait', 'scj/tick', '-n', NS, '--for=condition=Ready', '--timeout=60s')
    await see.settled(() => see.job('tick'), 'Ready', 'LastRunSucceeded')
    // From the end of a run until it is in the status.
    const lags = new Map<string, number>()
    const stale: number[] = []
    await eventually('twelve runs are seen in status', async () => {
      const { status } = await see.job('tick')
      const now = systemClock.now()
      stale.push(now - Date.parse(status.lastScheduleTime ?? ''))
      for (const { id, completionTime = '' } of status.runs ?? [])
        if (!lags.has(id)) lags.set(id, now - Date.parse(completionTime))
      return lags.size > 12
    })
    // Runs at the first look ended before this test began.
    const measured = [...lags.values()].slice(3).sort((a, b) => a - b)
    expect(measured[Math.floor(measured.length / 2)]).toBeLessThan(2_000)
    expect(stale.sort((a, b) => a - b)[Math.floor(stale.length / 2)]).toBeLessThan(2_000)
  })

  test('kubectl get scj has every column filled', async () => {
    const text = await kubectl('get', 'scj', 'tick', '-n', NS)
    expect(text.split('\n')[1]).toMatch(
      /^tick +\* \* \* \* \* \* +UTC +false +True +1\/1 +[01] +\d+s +Succeeded +20\S+Z +\S+$/,
    )
    const wide = await kubectl('get', 'scj', 'tick', '-n', NS, '-o', 'wide')
    expect(wide.split('\n')[1]).toMatch(/ One default +echo tick$/)
  })

  test('when suspended it stops and stays Ready; when resumed it does not catch up', async () => {
    await kubectl('patch', 'scj', 'tick', '-n', NS, '--type=merge', '-p', '{"spec":{"suspend":true}}')
    const stopped = await eventually('it is suspended', async () => {
      const seen = await see.settled(() => see.job('tick'), 'Ready')
      return seen.conditions['Ready']?.reason === 'Suspended' && seen.status.activeCount === 0 && seen
    })
    expect(stopped.status.nextScheduleTime).toBeUndefined()
    expect(stopped.conditions['Ready']?.message).toBe('suspended by spec.suspend')
    const last = stopped.status.lastScheduleTime
    await systemClock.sleep(3_000)
    expect((await see.job('tick')).status.lastScheduleTime).toBe(last)
    const resumed = systemClock.now()
    await kubectl('patch', 'scj', 'tick', '-n', NS, '--type=merge', '-p', '{"spec":{"suspend":false}}')
    const after = await eventually('it runs again', async () => {
      const { status } = await see.job('tick')
      const runs = (status.runs ?? []).filter(
        one => Date.parse(one.scheduledTime ?? '') > Date.parse(last ?? ''),
      )
      return runs.length > 0 && runs
    })
    for (const one of after) expect(Date.parse(one.scheduledTime ?? '')).toBeGreaterThan(resumed)
  })

  test('when paused by its annotation it says by whom', async () => {
    await kubectl('annotate', 'scj', 'tick', '-n', NS, 'shellcron.dev/paused=mary')
    await eventually('it reports that', async () => {
      const { Ready } = trueConditions(await see.job('tick'))
      return Ready?.reason === 'Suspended' && Ready.message === 'suspended by mary'
    })
    await kubectl('annotate', 'scj', 'tick', '-n', NS, 'shellcron.dev/paused-')
    await eventually(
      'it is in force',
      async () => trueConditions(await see.job('tick'))['Ready']?.reason === 'Compiled',
    )
  })

  test('when deleted it is gone, and so are its keys', async () => {
    await remove('scj', 'tick')
    expect(await remains('tick')).toEqual([])
  })
})

/** Keys that contain its name. Results do not count: the operator stores and then deletes them. */
const remains = (name: string) =>
  eventually(`no result of ${name} is left`, async () => {
    const { items } = await fleet.etcd.list(createKeys().prefix)
    const left = items
      .map(({ key }) => key)
      .filter(key => key.includes(`/${name}`) || key.includes(`.${name}.`))
    return left.every(key => !key.includes('/results/')) && left
  })

test('a Secret that a command prints is redacted in status, Events and etcd', async () => {
  const value = 'quince-ladder-tundra'
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'said', namespace: NS },
    stringData: { k: value },
  }
  const env = [{ name: 'S', valueFrom: { secretKeyRef: { name: 'said', key: 'k' } } }]
  const template = host('echo "$S"; echo "$S" | base64; exit 3', { env })
  await apply(secret, run('says', { template }))
  const { status } = await see.settled(() => see.run('says'), 'Failed')
  expect(status).toMatchObject({ exitCode: 3, outputTail: '***\n***\n' })
  const told = await kubectl('get', 'shellruns,events', '-n', NS, '-o', 'json')
  const { items } = await fleet.etcd.list('/')
  expect(items.length).toBeGreaterThan(0)
  for (const said of [value, Buffer.from(value).toString('base64').slice(0, -4)])
    for (const text of [told, JSON.stringify(items)]) expect(text).not.toContain(said)
  await remove('srun', 'says')
})

describe('conditions of a ShellCronJob', () => {
  test('Ready: compiled, whether its last run failed or one is running', async () => {
    await apply(
      job('fails', 'echo out of luck; exit 3', { schedule: '* * * * * *' }),
      job('long', 'sleep 600', { schedule: '* * * * * *', concurrencyPolicy: 'Forbid' }),
    )
    const failed = await eventually('it has failed', async () => {
      const { metadata, status } = await see.job('fails')
      const last = status.conditions?.find(({ type }) => type === 'LastRunSucceeded')
      return last?.status === 'False' && { metadata, status, last }
    })
    expect(trueConditions(failed)['Ready']?.reason).toBe('Compiled')
    expect(failed.last).toMatchObject({ reason: 'Failed', message: expect.stringContaining('exit code 3') })
    expect(failed.status).toMatchObject({ lastResult: 'Failed', outputTail: 'out of luck\n' })
    expect(failed.status.runs?.[0]).toMatchObject({ outcome: 'Failed', exitCode: 3 })
    const running = await eventually('it runs', async () => {
      const seen = await see.job('long')
      return seen.status.activeCount === 1 && seen
    })
    expect(Object.keys(trueConditions(running))).toEqual(['Ready', 'HasTargets'])
    await remove('scj', 'fails')
  })

  test('the annotation shellcron.dev/kill ends a run, and is removed', async () => {
    const { status } = await see.job('long')
    const id = status.active?.[0]?.id ?? ''
    await kubectl('annotate', 'scj', 'long', '-n', NS, `shellcron.dev/kill=${id}`)
    const killed = await eventually('it is recorded', async () => {
      const seen = await see.job('long')
      const ended = seen.status.runs?.find(one => one.id === id)
      return ended && seen.metadata.annotations?.['shellcron.dev/kill'] === undefined && ended
    })
    expect(killed.outcome).toBe('Killed')
    await remove('scj', 'long')
    expect(await remains('long')).toEqual([])
  })

  test.each([
    ['cron line', { schedule: '61 * * * *' }, 'InvalidSchedule', 'spec.schedule', '61'],
    [
      'one of several',
      { schedule: undefined, schedules: ['@daily', 'x'] },
      'InvalidSchedule',
      'spec.schedules[1]',
      'x',
    ],
    ['day that never comes', { schedule: '0 0 30 2 *' }, 'InvalidSchedule', 'spec.schedule', 'check'],
    ['zone', { timeZone: 'Mars/Base' }, 'InvalidSchedule', 'spec.timeZone', 'Mars/Base'],
    [
      'pattern',
      { parameters: [{ name: 'A', pattern: '(' }] },
      'InvalidParameters',
      'spec.parameters[0].pattern',
      '(',
    ],
  ])('Stalled: an impossible %s', async (_, spec, reason, field, word) => {
    await apply(job('bad', 'true', spec))
    const { conditions, metadata } = await see.settled(() => see.job('bad'), 'Stalled')
    expect(Object.keys(conditions)).toEqual(['Stalled', 'HasTargets'])
    expect(conditions['Stalled']).toMatchObject({ reason, message: expect.stringContaining(field) })
    expect(conditions['Stalled']?.message).toContain(word)
    expect((await see.event(metadata.uid, reason)).message).toBe(conditions['Stalled']?.message)
    // Only an edit fixes it.
    await apply(job('bad', 'true'))
    await kubectl(
      'patch',
      'scj',
      'bad',
      '-n',
      NS,
      '--type=json',
      '-p',
      '[{"op":"remove","path":"/spec/schedules"}]',
    ).catch(() => '')
    await see.settled(() => see.job('bad'), 'Ready')
    await remove('scj', 'bad')
  })

  const secret = { name: 'S', valueFrom: { secretKeyRef: { name: 'later', key: 'k' } } }
  const mended = [
    {
      what: 'Secret',
      blocked: job('waits', 'true', { template: host('true', { env: [secret] }) }),
      reason: 'SecretNotFound',
      words: [`${T}.env[0]`, 'Secret later', 'create it'],
      remedy: () => ({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'later', namespace: NS },
        stringData: { k: 'v' },
      }),
    },
    {
      what: 'pool',
      blocked: job('waits', 'true', { template: host('true', { target: { pool: 'far' } }) }),
      reason: 'PoolNotFound',
      words: [`${T}.target.pool`, 'pool far does not exist'],
      remedy: () => cluster('ShellPool', 'far', {}),
    },
    {
      what: 'ShellPolicy',
      blocked: job('waits', 'true', { namespace: STRICT }),
      reason: 'PolicyRefused',
      words: [`${T}.host`, 'no ShellPolicy allows host mode as user root', 'add a rule to a ShellPolicy'],
      remedy: () => policy(STRICT),
    },
  ]
  test.each(mended)(
    'Reconciling: a missing $what may come, and then it is Ready',
    async ({ blocked, reason, words, remedy }) => {
      const { namespace } = blocked.metadata
      await apply(blocked)
      const { conditions, metadata } = await see.settled(() => see.job('waits', namespace), 'Reconciling')
      expect(Object.keys(conditions).filter(type => type !== 'HasTargets')).toEqual(['Reconciling'])
      expect(conditions['Reconciling']?.reason).toBe(reason)
      for (const word of words) expect(conditions['Reconciling']?.message).toContain(word)
      expect((await see.event(metadata.uid, reason, namespace)).message).toBe(
        conditions['Reconciling']?.message,
      )
      await apply(remedy())
      await kubectl('wait', 'scj/waits', '-n', namespace, '--for=condition=Ready', '--timeout=30s')
      await kubectl('delete', 'scj', 'waits', '-n', namespace, '--timeout=60s')
      if (namespace === STRICT) await kubectl('delete', 'shellpolicy', 'strict')
    },
  )
})

test('the next run uses an edited script', async () => {
  const every = { schedule: '* * * * * *' }
  await apply(job('edited', `echo old >> ${file('edited')}`, every))
  await eventually('the old one has run', async () => (await lines('edited')).length > 0)
  await apply(job('edited', `echo new >> ${file('edited')}`, every))
  await see.settled(() => see.job('edited'), 'Ready')
  const before = (await lines('edited')).length
  await eventually('the new one has run', async () => (await lines('edited')).includes('new'))
  // A run that was claimed before the edit may still use the old script.
  expect((await lines('edited')).slice(before + 1)).not.toContain('old')
  await remove('scj', 'edited')
  expect(await remains('edited')).toEqual([])
})

describe('a ShellRun', () => {
  test('of a job, with a parameter: Complete', async () => {
    await apply(
      job('dump', `echo "$PARAM_DB at $SHELLCRON_AGENT" >> ${file('dump')}`, {
        suspend: true,
        parameters: [{ name: 'DB', default: 'orders', enum: ['orders', 'customers'] }],
      }),
      run('dump-now', { jobRef: { name: 'dump' }, parameters: [{ name: 'DB', value: 'customers' }] }),
    )
    await kubectl('wait', 'srun/dump-now', '-n', NS, '--for=condition=Complete', '--timeout=60s')
    const { status, conditions } = await see.settled(() => see.run('dump-now'), 'Ready')
    expect(Object.keys(conditions).sort()).toEqual(['Complete', 'Ready'])
    expect(status).toMatchObject({ phase: 'Succeeded', exitCode: 0, runs: [{ outcome: 'Succeeded' }] })
    expect(await lines('dump')).toEqual([`customers at ${AGENT}`])
    expect(await kubectl('get', 'srun', 'dump-now', '-n', NS)).toMatch(
      /dump-now +dump +Succeeded +Succeeded +0 +\d+s/,
    )
  })

  test('of a template: Reconciling while it runs; Failed and Stalled, with reason and exit code', async () => {
    await apply(run('breaks', { template: host('sleep 2; echo broken; exit 4') }))
    const running = await eventually('it runs', async () => {
      const seen = await see.run('breaks')
      return seen.status.phase === 'Running' && seen
    })
    expect(trueConditions(running)).toEqual({ Reconciling: { reason: 'Running', message: 'running' } })
    await kubectl('wait', 'srun/breaks', '-n', NS, '--for=condition=Failed', '--timeout=60s')
    const { conditions, status } = await see.settled(() => see.run('breaks'), 'Failed', 'Stalled')
    expect(Object.keys(conditions).sort()).toEqual(['Failed', 'Stalled'])
    expect(conditions['Failed']).toMatchObject({
      reason: 'Failed',
      message: expect.stringContaining('exit code 4'),
    })
    expect(status).toMatchObject({ phase: 'Failed', exitCode: 4, outputTail: 'broken\n' })
  })

  test.each([
    [
      'an undeclared parameter',
      [{ name: 'TABLE', value: 'x' }],
      ['spec.parameters[0].name', '"TABLE" is not declared', 'DB'],
    ],
    [
      'a value that is not allowed',
      [{ name: 'DB', value: 'x' }],
      ['spec.parameters[0].value', 'orders, customers'],
    ],
  ])('with %s is refused for good', async (_, parameters, words) => {
    await apply(run('refused', { jobRef: { name: 'dump' }, parameters }))
    const { conditions, metadata } = await see.settled(() => see.run('refused'), 'Failed', 'Stalled')
    for (const word of words) expect(conditions['Failed']?.message).toContain(word)
    expect(conditions['Stalled']?.message).toBe(conditions['Failed']?.message)
    expect((await see.event(metadata.uid, 'InvalidParameters')).message).toContain(words[0])
    await remove('srun', 'refused')
  })

  test('goes forward only: no phase or condition is ever taken back', async () => {
    const stop = new AbortController()
    const phases = new Map<string, string[]>()
    const path = `/apis/shellcron.dev/v1alpha1/namespaces/${NS}/shellruns?watch=1&labelSelector=forward`
    const watching = api.lines({ path, signal: stop.signal }).then(async events => {
      for await (const line of events) {
        const { object: seen } = JSON.parse(line) as {
          object: Seen<RunStatus> & { metadata: { name: string } }
        }
        const known = phases.get(seen.metadata.name) ?? []
        const phase = seen.status.phase ?? 'new'
        if (known.at(-1) !== phase) phases.set(seen.metadata.name, [...known, phase])
      }
    })
    const names = Array.from({ length: 12 }, (_, i) => `forward-${i}`)
    const labelled = names.map(name => {
      const { metadata, ...rest } = run(name, { template: host('true') })
      return { ...rest, metadata: { ...metadata, labels: { forward: '' } } }
    })
    await apply(...labelled)
    await kubectl('wait', 'srun', '-l', 'forward', '-n', NS, '--for=condition=Complete', '--timeout=60s')
    await eventually('all were seen', () => names.every(name => phases.get(name)?.at(-1) === 'Succeeded'))
    stop.abort(new Error('seen'))
    await watching.catch(() => undefined)
    const order = ['new', 'Pending', 'Running', 'Succeeded']
    for (const seen of phases.values()) expect(seen).toEqual(order.filter(phase => seen.includes(phase)))
  })

  test('of a job that is created later waits for it', async () => {
    await apply(run('early', { jobRef: { name: 'comes' } }))
    const { conditions, metadata } = await see.settled(() => see.run('early'), 'Reconciling')
    expect(conditions).toEqual({
      Reconciling: { reason: 'JobNotFound', message: expect.stringContaining('spec.jobRef.name') as string },
    })
    await see.event(metadata.uid, 'JobNotFound')
    await apply(job('comes', 'true'))
    await see.settled(() => see.run('early'), 'Complete')
  })

  test('expires after its TTL, but not if Argo CD would create it again', async () => {
    const spec = { template: host('true'), ttlSecondsAfterFinished: 1 }
    const owned = run('owned', spec)
    const annotations = { 'argocd.argoproj.io/tracking-id': 'app:shellcron.dev/ShellRun:ops/owned' }
    await apply(run('expires', spec), { ...owned, metadata: { ...owned.metadata, annotations } })
    await kubectl('wait', 'srun/expires', '-n', NS, '--for=delete', '--timeout=60s')
    const { metadata } = await see.settled(() => see.run('owned'), 'Complete')
    expect((await see.event(metadata.uid, 'TTLIgnored')).message).toContain('spec.ttlSecondsAfterFinished')
  })

  test('in a container that the machine does not have: Failed', async () => {
    const inside = { spec: { container: { selector: { matchLabels: { app: 'web' } } }, script: 'true' } }
    await apply(run('inside', { template: inside }))
    const { conditions } = await see.settled(() => see.run('inside'), 'Failed')
    // The machine may have a runtime, but it has no such container.
    expect(conditions['Failed']?.message).toMatch(
      /^Failed: (RuntimeUnavailable|ContainerNotFound): no container/,
    )
  })

  test('is killed when it is deleted', async () => {
    const script = `trap 'echo killed >> ${file('killed')}; exit 1' TERM; echo started >> ${file('killed')}; while :; do sleep 0.1; done`
    await apply(run('doomed', { template: host(script) }))
    await eventually('it runs', async () => (await lines('killed')).includes('started'))
    await remove('srun', 'doomed')
    expect(await lines('killed')).toEqual(['started', 'killed'])
    expect(await remains('doomed')).toEqual([])
  })
})

test('a namespace with jobs and active runs can be deleted', async () => {
  await kubectl('create', 'namespace', 'brief')
  await apply(
    policy('brief'),
    job('ticks', 'true', { namespace: 'brief', schedule: '* * * * * *' }),
    job('bad', 'true', { namespace: 'brief', timeZone: 'Mars/Base' }),
    run('sleeps', { template: host('sleep 600') }, 'brief'),
  )
  await eventually('it runs', async () => (await see.run('sleeps', 'brief')).status.phase === 'Running')
  await kubectl('delete', 'namespace', 'brief', '--timeout=90s')
  expect(await remains('brief')).toEqual([])
})

test('while the API server is down runs continue, and status follows again afterwards', async () => {
  await apply(
    job('steady', `echo "$SHELLCRON_SCHEDULED_TIME" >> ${file('steady')}`, { schedule: '* * * * * *' }),
  )
  await eventually('it runs', async () => (await lines('steady')).length > 0)
  await fleet.kubernetes.restartApiServer('SIGKILL')
  const back = systemClock.now()
  await eventually('status tells of a run after that', async () => {
    const { status } = await see.job('steady')
    return Date.parse(status.runs?.[0]?.startTime ?? '') > back
  })
  await remove('scj', 'steady')
  const times = await lines('steady')
  expect(new Set(times).size).toBe(times.length)
})

test('of two operators one acts; when it is killed the other takes over, and undoes nothing', async () => {
  const holder = () =>
    kubectl('get', 'lease', 'shellcron-operator', '-n', 'shellcron', '-o', 'jsonpath={.spec.holderIdentity}')
  await fleet.operator('operator-2')
  expect(await holder()).toContain('operator-1')
  const script = `echo "$SHELLCRON_SCHEDULED_TIME" >> ${file('over')}`
  await apply(job('over', script, { schedule: '* * * * * *' }))
  await eventually('it runs', async () => (await lines('over')).length > 1)
  const before = await see.run('dump-now')
  fleet.operators[0]?.signal('SIGKILL')
  const killedAt = systemClock.now()
  await apply(job('new', 'true', { schedule: '* * * * * *' }))
  await see.settled(() => see.job('new'), 'Ready', 'LastRunSucceeded')
  expect(await holder()).toContain('operator-2')
  // No run waited for it, and none ran twice.
  const times = await lines('over')
  expect(times.filter(time => Date.parse(time) > killedAt).length).toBeGreaterThan(2)
  expect(new Set(times).size).toBe(times.length)
  expect((await see.run('dump-now')).status).toEqual(before.status)
})

test('when all objects are deleted, etcd has no key of them', async () => {
  await kubectl('delete', 'scj,srun', '--all', '-A', '--timeout=60s')
  const keys = createKeys()
  const lasting = ['meta/', 'pools/', 'members/', 'agents/'].map(top => keys.prefix + top)
  await eventually('the outbox is empty, and all other keys are gone', async () => {
    const { items } = await fleet.etcd.list(keys.prefix)
    return items.every(({ key }) => lasting.some(top => key.startsWith(top)))
  })
})
