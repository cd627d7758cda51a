import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../fault/eventually.ts'
import { type Kubernetes, startKubernetes } from './kubernetes.ts'

let kubernetes: Kubernetes

beforeAll(async () => {
  kubernetes = await startKubernetes()
})
afterAll(() => kubernetes?.stop())

test('the administrator can list namespaces', async () => {
  const names = await kubernetes.kubectl(['get', 'namespaces', '-o', 'name'])
  expect(names.split('\n')).toEqual(expect.arrayContaining(['namespace/default', 'namespace/kube-system']))
})

test('the server reports its version', async () => {
  expect(await kubernetes.kubectl(['version'])).toMatch(/Server Version: v1\.\d+\.\d+/)
})

test('a user may do only what RBAC allows the user or the groups', async () => {
  const kubeconfig = await kubernetes.kubeconfigFor('mary', ['readers'])
  const list = ['get', 'configmaps', '-n', 'default']
  const refused = await kubernetes.tryKubectl(list, { kubeconfig })
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('User "mary" cannot list') })

  await kubernetes.kubectl([
    'create',
    'role',
    'read',
    '--verb=list',
    '--resource=configmaps',
    '-n',
    'default',
  ])
  await kubernetes.kubectl([
    'create',
    'rolebinding',
    'read',
    '--role=read',
    '--group=readers',
    '-n',
    'default',
  ])
  await eventually('RBAC knows', async () => (await kubernetes.tryKubectl(list, { kubeconfig })).code === 0)
  await expect(kubernetes.kubectl(['get', 'secrets'], { kubeconfig })).rejects.toThrow('Forbidden')
})

test('a deleted namespace goes with all its objects', async () => {
  await kubernetes.kubectl(['create', 'namespace', 'brief'])
  await kubernetes.kubectl(['create', 'configmap', 'c', '-n', 'brief', '--from-literal=a=b'])
  await kubernetes.kubectl(['delete', 'namespace', 'brief'])
  expect((await kubernetes.tryKubectl(['get', 'namespace', 'brief'])).stderr).toContain('NotFound')
})

test('a service account gets a token that the server accepts', async () => {
  const token = (await kubernetes.kubectl(['create', 'token', 'default', '--duration=10m'])).trim()
  const kubeconfig = await kubernetes.kubeconfigWithToken(token)
  const whoami = ['auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}']
  expect(await kubernetes.kubectl(whoami, { kubeconfig })).toBe('system:serviceaccount:default:default')
})

test('objects survive a restart and a kill of the API server', async () => {
  await kubernetes.kubectl(['create', 'configmap', 'kept', '--from-literal=a=b'])
  await kubernetes.restartApiServer()
  await kubernetes.restartApiServer('SIGKILL')
  expect(await kubernetes.kubectl(['get', 'configmap', 'kept', '-o', 'jsonpath={.data.a}'])).toBe('b')
})

test('the audit log has the user and the verb', async () => {
  const kubeconfig = await kubernetes.kubeconfigFor('spy')
  await kubernetes.tryKubectl(['get', 'secrets', '-n', 'default'], { kubeconfig })
  const line = await eventually('it is logged', async () =>
    (await readFile(kubernetes.auditLog, 'utf8')).split('\n').find(text => text.includes('"username":"spy"')),
  )
  expect(JSON.parse(line)).toMatchObject({ level: 'Metadata', user: { username: 'spy' } })
})

test('its directory is removed when it stops', async () => {
  const other = await startKubernetes()
  await other.stop()
  await expect(stat(dirname(other.adminKubeconfig))).rejects.toThrow('ENOENT')
})
