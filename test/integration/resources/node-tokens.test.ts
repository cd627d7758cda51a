import { afterAll, beforeAll, expect, test } from 'vitest'
import { nodeTokenReviewer, type ReviewNodeToken } from '../../../operator/enrolment/review-node-token.ts'
import { connectKubernetes } from '../../../platform/kubernetes/connect.ts'
import { type Kubernetes, startKubernetes } from '../../servers/kubernetes.ts'

/** Which ServiceAccount tokens let a node's agent enrol, on a real API server. */
const NS = 'shellcron-agents'
let kubernetes: Kubernetes
let review: ReviewNodeToken

beforeAll(async () => {
  kubernetes = await startKubernetes()
  const api = connectKubernetes(kubernetes.adminKubeconfig)
  review = nodeTokenReviewer({ api, accounts: [`${NS}:shellcron-agent`] })
  await kubernetes.kubectl(['create', 'namespace', NS])
  for (const account of ['shellcron-agent', 'other']) {
    await kubernetes.kubectl(['create', 'serviceaccount', account, '-n', NS])
    await apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: account, namespace: NS },
      spec: { serviceAccountName: account, nodeName: 'node-1', containers: [{ name: 'c', image: 'i' }] },
    })
  }
  await apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' } })
})
afterAll(() => kubernetes?.stop())

const apply = (object: object) => kubernetes.kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(object) })
const token = (account: string, ...more: string[]) =>
  kubernetes.kubectl(['create', 'token', account, '-n', NS, ...more]).then(text => text.trim())
const ofPod = (name: string) => ['--bound-object-kind', 'Pod', '--bound-object-name', name]
const ENROL = ['--audience', 'shellcron-enrol']

test("the token of an agent's pod names its node", async () => {
  expect(await review(await token('shellcron-agent', ...ENROL, ...ofPod('shellcron-agent')))).toEqual({
    kind: 'node',
    node: 'node-1',
  })
})

test.each([
  ['of another audience', 'shellcron-agent', ofPod('shellcron-agent'), 'audience'],
  ['of another ServiceAccount', 'other', [...ENROL, ...ofPod('other')], 'no ServiceAccount of agents'],
  ['of no pod', 'shellcron-agent', ENROL, 'not bound to a pod'],
])('a token %s is refused', async (_, account, flags, why) => {
  expect(await review(await token(account, ...flags))).toEqual({
    kind: 'refused',
    why: expect.stringContaining(why) as string,
  })
})

test('a text that is no token is refused', async () => {
  expect(await review('nonsense')).toMatchObject({ kind: 'refused' })
})
