import { afterAll, beforeAll, expect, test } from 'vitest'
import { deleteOldTickets } from '../../../operator/users/tickets.ts'
import { systemClock } from '../../../platform/clock.ts'
import { connectKubernetes } from '../../../platform/kubernetes/connect.ts'
import { eventually } from '../../fault/eventually.ts'
import { applyCrds } from '../../servers/crds.ts'
import { type Kubernetes, startKubernetes } from '../../servers/kubernetes.ts'

let kubernetes: Kubernetes
beforeAll(async () => {
  kubernetes = await startKubernetes()
  await applyCrds(kubernetes)
})
afterAll(() => kubernetes?.stop())

const create = (names: readonly string[]) => {
  const spec = { nonceHash: 'ab'.repeat(32), user: 'u' }
  const items = names.map(name => ({
    apiVersion: 'shellcron.dev/v1alpha1',
    kind: 'ShellTicket',
    metadata: { name },
    spec,
  }))
  return kubernetes.kubectl(['create', '-f', '-'], {
    stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  })
}
const names = async () =>
  (await kubernetes.kubectl(['get', 'shelltickets', '-o', 'name'])).split('\n').filter(Boolean)

test('a ticket that nobody used is deleted, however many new ones come before it', async () => {
  await create(['z-old'])
  const createdAt = Date.parse(
    await kubernetes.kubectl(['get', 'shellticket/z-old', '-o', 'jsonpath={.metadata.creationTimestamp}']),
  )
  // The API server's times have whole seconds.
  await eventually('the next ones are newer', () => systemClock.now() > createdAt + 1_000)
  await create(Array.from({ length: 501 }, (_, index) => `a-${index}`))
  const api = connectKubernetes(kubernetes.adminKubeconfig)
  await deleteOldTickets({ api, clock: { ...systemClock, now: () => createdAt + 600_001 } })
  const left = await names()
  expect(left).not.toContain('shellticket.shellcron.dev/z-old')
  expect(left).toHaveLength(501)
})
