import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rank } from '../../../core/fires/placement.ts'
import { execBinary, launcherBinary } from '../../../scripts/go-programs.ts'
import { eventually } from '../../fault/eventually.ts'
import { type AgentOptions, command } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'
import { type Containerd, type StartedPod, startContainerd } from '../../servers/containerd.ts'

const canRun = process.getuid?.() === 0 && existsSync('/usr/bin/containerd') && existsSync('/bin/busybox')
const helper = await execBinary()
const launcher = await launcherBinary()

/** An agent on a node with a real containerd, in a scripted pool. */
describe.runIf(canRun)('jobs in containers', () => {
  const pool = poolForEach({ ttlSeconds: 30, members: ['a'] })
  let node: Containerd
  let web: StartedPod

  beforeAll(async () => {
    node = await startContainerd()
    web = await node.pod({
      name: 'web-1',
      labels: { app: 'web', version: '2' },
      annotations: { 'kubectl.kubernetes.io/default-container': 'app' },
      containers: { sidecar: {}, app: { user: 65_534 } },
    })
    await node.pod({ name: 'web-2', labels: { app: 'web' } })
    await node.pod({ name: 'elsewhere', namespace: 'other', labels: { app: 'secret' } })
  })

  afterAll(() => node?.stop())

  const agent = (over: AgentOptions = {}) =>
    pool.agent('a', {
      launcherCommand: [...node.enter, launcher],
      isElsewhere: true,
      containers: { helper, endpoints: [`unix://${node.socket}`], podsOnly: false },
      ...over,
    })
  const start = async (name: string, script: string, container: object, over = {}) => {
    const where = {
      selector: { matchLabels: { app: 'web' }, matchExpressions: [] },
      pick: 'One',
      ...container,
    }
    await pool.putRun({ name, command: command(script, { host: undefined, container: where, ...over }) })
    await pool.request(name, { kind: 'run', namespace: 'test', name, target: '-', uid: 'uid-1' })
  }
  const bothLive = () =>
    eventually(
      'both live',
      async () => (await pool.etcd.list(pool.keys.agents('default'))).items.length === 2,
    )
  const result = (name: string) =>
    eventually(`${name} has a result`, async () =>
      (await pool.results()).find(result => result.name === name),
    )
  const labels = (matchLabels: Record<string, string>) => ({
    selector: { matchLabels, matchExpressions: [] },
  })

  test("a run has the container's user, in the container that kubectl exec would choose", async () => {
    await agent()
    await start(
      'user',
      'id -u; echo "$SHELLCRON_NAMESPACE $SHELLCRON_AGENT"; exit 3',
      labels({ version: '2' }),
    )
    expect(await result('user')).toMatchObject({
      outcome: 'Failed',
      reason: 'NonZeroExitCode',
      exitCode: 3,
      tail: '65534\ntest a\n',
    })
  })

  test('a container is selected by its name and a label expression', async () => {
    await agent()
    const matchExpressions = [{ key: 'version', operator: 'Exists', values: [] }]
    await start('named', 'id -u', { name: 'sidecar', selector: { matchLabels: {}, matchExpressions } })
    expect(await result('named')).toMatchObject({ outcome: 'Succeeded', tail: '0\n' })
  })

  test('pods of other namespaces are not selected', async () => {
    await agent()
    await start('spy', 'true', labels({ app: 'secret' }))
    expect(await result('spy')).toMatchObject({ outcome: 'Failed', reason: 'ContainerNotFound' })
  })

  test('Each: the message names the containers that failed', async () => {
    await agent()
    await start('each', 'test $(id -u) = 0', { pick: 'Each' })
    expect(await result('each')).toMatchObject({
      outcome: 'Failed',
      exitCode: 1,
      message: 'failed in 1 of 2 containers: web-1/app: exit code 1',
    })
  })

  test('a run survives its agent, and the next agent records its end', async () => {
    const first = await agent()
    const gate = 'while ! test -e /tmp/go; do sleep 0.05; done; echo gone on; exit 6'
    await start('survivor', `echo begun; ${gate}`, { name: 'sidecar' })
    await eventually('it is active', async () => (await pool.actives()).length === 1)
    await first.crash()
    await agent()
    await start('opener', 'touch /tmp/go', { name: 'sidecar' })
    expect(await result('survivor')).toMatchObject({ outcome: 'Failed', exitCode: 6, attempt: 1 })
  })

  test('a run whose container goes ends with that reason, and is not run elsewhere', async () => {
    await agent()
    await start('gone', 'sleep 60606', labels({ version: '2' }))
    await eventually('it is active', async () => (await pool.actives()).length === 1)
    await eventually('it runs', () => isRunning('sleep 60606'))
    await node.stopContainer(web.containers['app'] ?? '')
    expect(await result('gone')).toMatchObject({
      outcome: 'Failed',
      reason: 'ContainerGone',
      message: 'container web-1/app ended while the command ran',
    })
    await start('after', 'true', labels({ version: '2' }))
    expect(await result('after')).toMatchObject({ outcome: 'Failed', reason: 'ContainerNotRunning' })
  })

  test('an agent without such a container leaves the run to an agent that has one, of any rank', async () => {
    await pool.putMember('b')
    await agent()
    await pool.agent('b', { containers: { helper, endpoints: ['unix:///no/such.sock'], podsOnly: false } })
    await bothLive()
    const first = uidFor('b')
    const container = { pick: 'One', ...labels({ app: 'web' }) }
    const schedules = ['* * * * * *']
    await pool.putJob({
      name: 'job',
      uid: first,
      schedules,
      command: command('echo here', { host: undefined, container }),
    })
    await start('run', 'echo here', labels({ app: 'web' }))
    expect(await result('run')).toMatchObject({ outcome: 'Succeeded', agent: 'a' })
    const began = await eventually('fires of the job', async () => {
      const results = (await pool.results()).filter(({ name, attempt }) => name === 'job' && attempt > 0)
      return results.length >= 2 ? results : undefined
    })
    for (const one of began) expect(one).toMatchObject({ outcome: 'Succeeded', agent: 'a', tail: 'here\n' })
  })

  test('a run that no agent has a container for ends with ContainerNotFound', async () => {
    await pool.putMember('b')
    await agent()
    await pool.agent('b', { containers: { helper, endpoints: [`unix://${node.socket}`], podsOnly: false } })
    await bothLive()
    await start('absent', 'true', labels({ app: 'nothing' }))
    expect(await result('absent')).toMatchObject({ outcome: 'Failed', reason: 'ContainerNotFound' })
  })

  test('if several containers of a Pod are running, container.name must name one', async () => {
    await node.pod({ name: 'pair', labels: { app: 'pair' }, containers: { left: {}, right: {} } })
    await agent()
    await start('either', 'true', labels({ app: 'pair' }))
    expect(await result('either')).toMatchObject({
      reason: 'ContainerAmbiguous',
      message: 'Pod pair runs the containers left, right: say in container.name which one is meant',
    })
    await start('left', 'true', { ...labels({ app: 'pair' }), name: 'left' })
    expect(await result('left')).toMatchObject({ outcome: 'Succeeded' })
  })

  test('a runtime with two sockets counts once', async () => {
    await node.pod({ name: 'solo', labels: { app: 'solo' }, containers: { app: {} } })
    const socket = `unix://${node.socket}`
    await agent({ containers: { helper, endpoints: [socket, socket], podsOnly: false } })
    await start('once', 'echo once', { ...labels({ app: 'solo' }), pick: 'Each' })
    expect(await result('once')).toMatchObject({ outcome: 'Succeeded', tail: 'solo/app | once\n' })
  })

  test('the message of an agent without a runtime says what to do', async () => {
    await agent({ containers: { helper, endpoints: ['unix:///no/such.sock'], podsOnly: false } })
    await start('nowhere', 'true', {})
    const { reason, message } = await result('nowhere')
    expect([reason, message]).toEqual(['RuntimeUnavailable', expect.stringContaining('--runtime-endpoint')])
  })

  test('without the helper, a run in a container fails with Unsupported', async () => {
    await agent({ containers: { helper: undefined, endpoints: [], podsOnly: false } })
    await start('helpless', 'true', {})
    expect(await result('helpless')).toMatchObject({
      outcome: 'Failed',
      reason: 'Unsupported',
      message: expect.stringContaining('make build'),
    })
  })
})

/** The uid of a job for which this agent has rank 0 among a and b. */
function uidFor(agent: string): string {
  for (let n = 0; ; n++) if (rank(`uid-${n}`, ['a', 'b'])[0] === agent) return `uid-${n}`
}

/** Whether a process has this command line. */
function isRunning(line: string): boolean {
  return readdirSync('/proc').some(pid => {
    try {
      const text = /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : ''
      return text.split('\0').join(' ').trim() === line
    } catch {
      return false
    }
  })
}
