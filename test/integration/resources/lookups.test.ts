import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { Lookups } from '../../../operator/resources/kubernetes/lookups.ts'
import type { ObjectRef } from '../../../operator/resources/port.ts'
import { systemClock } from '../../../platform/clock.ts'
import type { KubeApi } from '../../../platform/kubernetes/api.ts'
import { connectKubernetes } from '../../../platform/kubernetes/connect.ts'
import { silentLog } from '../../../platform/log.ts'
import { eventually } from '../../fault/eventually.ts'
import { type Kubernetes, startKubernetes } from '../../servers/kubernetes.ts'

let kubernetes: Kubernetes
const stops: AbortController[] = []

beforeAll(async () => {
  kubernetes = await startKubernetes()
  for (const namespace of ['ops', 'dev']) await kubernetes.kubectl(['create', 'namespace', namespace])
})
afterAll(() => kubernetes?.stop())
afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort(new Error('the test is over'))
})

function start(kubeconfig = kubernetes.adminKubeconfig): {
  lookups: Lookups
  told: ObjectRef[]
  lists: () => number
} {
  const told: ObjectRef[] = []
  let lists = 0
  const api = connectKubernetes(kubeconfig)
  const counting: KubeApi = {
    ...api,
    request(call) {
      if (call.path.includes('/secrets?')) lists++
      return api.request(call)
    },
  }
  const lookups = new Lookups({
    api: counting,
    clock: systemClock,
    log: silentLog,
    onChange: ref => told.push(ref),
    pollInterval: 300,
  })
  const stop = new AbortController()
  stops.push(stop)
  void lookups.run(stop.signal)
  return { lookups, told, lists: () => lists }
}

const put = (kind: string, name: string, data: Record<string, string>, namespace = 'ops') =>
  kubernetes.kubectl(['apply', '-f', '-'], {
    stdin: JSON.stringify({ apiVersion: 'v1', kind, metadata: { name, namespace }, stringData: data }),
  })
const ref = (kind: 'Secret' | 'ConfigMap', name: string) => ({ kind, namespace: 'ops', name })

test('a Secret is read as text, and binary values are named', async () => {
  const data = { word: Buffer.from('geheim ☂').toString('base64'), blob: Buffer.of(0xff).toString('base64') }
  await kubernetes.kubectl(['apply', '-f', '-'], {
    stdin: JSON.stringify({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's', namespace: 'ops' },
      data,
    }),
  })
  const { lookups } = start()
  expect(await lookups.lookUp('Secret', 'ops', 's')).toEqual({
    kind: 'found',
    data: { word: 'geheim ☂' },
    notText: ['blob'],
  })
  expect(await lookups.lookUp('Secret', 'ops', 'none')).toEqual({ kind: 'absent' })
  await kubernetes.kubectl(['create', 'configmap', 'c', '-n', 'ops', '--from-literal=a=b'])
  expect(await lookups.lookUp('ConfigMap', 'ops', 'c')).toMatchObject({ kind: 'found', data: { a: 'b' } })
})

test('changes, deletions and creations of looked-up objects are reported, and no others', async () => {
  await put('Secret', 'rotated', { a: '1' })
  const { lookups, told } = start()
  await lookups.lookUp('Secret', 'ops', 'rotated')
  await lookups.lookUp('Secret', 'ops', 'later')
  await put('Secret', 'other', { a: '1' })
  await put('Secret', 'rotated', { a: '2' })
  await eventually('the rotation is reported', () => told.length === 1)
  expect(told).toEqual([ref('Secret', 'rotated')])
  expect(await lookups.lookUp('Secret', 'ops', 'rotated')).toMatchObject({ data: { a: '2' } })
  await kubernetes.kubectl(['delete', 'secret', 'rotated', '-n', 'ops'])
  await eventually('the end is reported', () => told.length === 2)
  await put('Secret', 'later', { a: '1' })
  await eventually('the beginning is reported', () => told.length === 3)
  expect(told[2]).toEqual(ref('Secret', 'later'))
})

test('changes of the first and the last Secret of a namespace are reported, by one list and watch', async () => {
  await kubernetes.kubectl(['create', 'namespace', 'empty'])
  const { lookups, told, lists } = start()
  expect(await lookups.lookUp('Secret', 'empty', 'only')).toEqual({ kind: 'absent' })
  await put('Secret', 'only', { a: '1' }, 'empty')
  await eventually('its beginning is told', () => told.length === 1)
  const listed = lists()
  await put('Secret', 'only', { a: '2' }, 'empty')
  await eventually('its change is told', () => told.length === 2)
  await kubernetes.kubectl(['delete', 'secret', 'only', '-n', 'empty'])
  await eventually('its end is told', () => told.length === 3)
  expect(lists()).toBe(listed)
})

test('a change just after the lookup, before the watch, is reported', async () => {
  await put('Secret', 'early', { a: '1' }, 'dev')
  const { lookups, told } = start()
  await lookups.lookUp('Secret', 'dev', 'early')
  await put('Secret', 'early', { a: '2' }, 'dev')
  await eventually('it is told', () => told.length > 0)
})

test('a forgotten namespace is not watched any more', async () => {
  await put('Secret', 'forgotten', { a: '1' })
  const { lookups, told } = start()
  await lookups.lookUp('Secret', 'ops', 'forgotten')
  await lookups.lookUp('Secret', 'dev', 'witness')
  lookups.forget('ops')
  await put('Secret', 'forgotten', { a: '2' })
  await put('Secret', 'witness', { a: '1' }, 'dev')
  await eventually('the other is reported', () => told.length > 0)
  expect(told).toEqual([{ kind: 'Secret', namespace: 'dev', name: 'witness' }])
})

test('with the right to get one Secret only, that one is watched, and another is forbidden', async () => {
  await put('Secret', 'allowed', { a: '1' })
  const role = ['role', 'one', '-n', 'ops', '--verb=get', '--resource=secrets', '--resource-name=allowed']
  await kubernetes.kubectl(['create', ...role])
  await kubernetes.kubectl(['create', 'rolebinding', 'one', '-n', 'ops', '--role=one', '--user=narrow'])
  const { lookups, told } = start(await kubernetes.kubeconfigFor('narrow', []))
  const found = async () => (await lookups.lookUp('Secret', 'ops', 'allowed')).kind === 'found'
  await eventually('the role is in force', found)
  expect(await lookups.lookUp('Secret', 'ops', 'rotated')).toMatchObject({
    kind: 'forbidden',
    message: expect.stringContaining('secrets "rotated" is forbidden') as string,
  })
  await put('Secret', 'allowed', { a: '2' })
  await eventually('the rotation is reported', () => told.some(({ name }) => name === 'allowed'))
})
