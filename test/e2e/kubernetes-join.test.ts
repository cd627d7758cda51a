import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createKeys } from '../../core/keys.ts'
import { silentLog } from '../../platform/log.ts'
import { connectEtcd } from '../../store/etcd/client.ts'
import { eventually } from '../fault/eventually.ts'
import { type KubernetesFleet, startKubernetesFleet } from '../fixtures/kubernetes-fleet.ts'
import { ask } from '../fixtures/server.ts'

/** Plain servers that join the fleet of a cluster by the line of a user. */
const END_WITHIN_MS = 10_000
const run = promisify(execFile)
const inBin = (name: string) => fileURLToPath(new URL(`../../bin/${name}`, import.meta.url))
const admission = fileURLToPath(
  new URL('../../charts/shellcron/files/admission/shelltickets.yaml', import.meta.url),
)
let fleet: KubernetesFleet
let joiner: string
let reader: string

beforeAll(async () => {
  fleet = await startKubernetesFleet()
  const { kubernetes } = fleet
  const create = (...args: string[]) => kubernetes.kubectl(['create', ...args])
  await kubernetes.kubectl(['apply', '-f', admission])
  await create('clusterrole', 'tickets', '--verb=create', '--resource=shelltickets.shellcron.dev')
  await create('clusterrolebinding', 'tickets', '--clusterrole=tickets', '--group=system:authenticated')
  const at = ['-n', 'shellcron']
  await create('role', 'user', ...at, '--verb=get', '--resource=endpointslices.discovery.k8s.io')
  await create('rolebinding', 'user', ...at, '--role=user', '--group=system:authenticated')
  const agents = '--resource=shellagents.shellcron.dev'
  await create('clusterrole', 'join', '--verb=get,create,update,patch', agents)
  await create('clusterrolebinding', 'join', '--clusterrole=join', '--user=joiner')
  await create('clusterrole', 'half', '--verb=get,create', agents)
  await create('clusterrolebinding', 'half', '--clusterrole=half', '--user=reader')
  joiner = await kubernetes.kubeconfigFor('joiner')
  reader = await kubernetes.kubeconfigFor('reader')
  await eventually(
    'the operator leads',
    async () => {
      const found = await kubernetes.tryKubectl(['get', 'endpointslice', 'shellcron-operator-leader', ...at])
      return found.code === 0
    },
    120_000,
  )
})
afterAll(() => fleet?.stop())

async function cli(program: string, ...args: string[]): Promise<{ code: number; text: string }> {
  return await run(inBin(program), args, { timeout: 120_000 }).then(
    ({ stdout, stderr }) => ({ code: 0, text: stdout + stderr }),
    (error: { code?: number; stdout?: string; stderr?: string }) => ({
      code: error.code ?? -1,
      text: `${error.stdout}${error.stderr}`,
    }),
  )
}
const joinCommand = (kubeconfig: string, ...args: string[]) =>
  cli('kubectl-shellcron', 'join-command', ...args, '--kubeconfig', kubeconfig, '--server', fleet.operatorUrl)

test('a user without the rights on ShellAgents gets no line', async () => {
  const { code, text } = await joinCommand(reader, 'web-1')
  expect(code).not.toBe(0)
  expect(text).toMatch(/user "reader" may not let agents join: this needs the verbs create and update/)
})

test("with the rights a user gets a line, by which the server joins; within 10 s of the ShellAgent's deletion it is refused", async () => {
  const made = await joinCommand(joiner, 'web-2', '--label', 'role=web')
  expect(made).toMatchObject({ code: 0 })
  const labels = await fleet.kubernetes.kubectl(['get', 'sag', 'web-2', '-o', 'jsonpath={.spec.labels.role}'])
  expect(labels).toBe('web')
  const [, line = ''] = /^sudo shellcron (.*)$/m.exec(made.text) ?? []
  const etc = join(fleet.dir, 'web-2', 'etc')
  const places = ['--etc', etc, '--state', join(fleet.dir, 'web-2', 'state')]
  expect(await cli('shellcron', ...line.split(' '), ...places, '--no-start')).toMatchObject({
    code: 0,
    text: expect.stringContaining('etcd answers') as string,
  })

  const read = (name: string) => readFile(join(etc, 'identity', name), 'utf8')
  const tls = { ca: await read('ca.crt'), cert: await read('tls.crt'), key: await read('tls.key') }
  const endpoint = /^ENDPOINTS=(.*)$/m.exec(await readFile(join(etc, 'agent.env'), 'utf8'))?.[1] ?? ''
  const etcd = connectEtcd({ endpoints: [endpoint], tls, log: silentLog })
  await etcd.get(createKeys().beacon)
  await fleet.kubernetes.kubectl(['delete', 'sag', 'web-2'])
  await eventually(
    'it is refused',
    async () => {
      const said = await ask(`${fleet.operatorUrl}/v1/ingest`, { method: 'POST', body: '', ...tls })
      const denied = await etcd.get(createKeys().beacon).then(
        () => false,
        (error: { code?: string }) => error.code === 'PermissionDenied',
      )
      return denied && said.status === 403
    },
    END_WITHIN_MS,
  )
  await etcd.close()
})
