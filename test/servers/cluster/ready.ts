import { eventually } from '../../fault/eventually.ts'

interface NodeCondition {
  type: string
  status: string
  lastHeartbeatTime: string
}

const READY_WITHIN_MS = 120_000

/** Waits until a kubelet that started at `since` (ms since the epoch) says Ready. What its predecessor said does not count. */
export async function untilNodeReady(
  kubectl: (args: string[]) => Promise<string>,
  node: { name: string; check(): void },
  since: number,
): Promise<void> {
  const { name } = node
  let last = 'it is not registered'
  await eventually(
    () => `${name} is Ready; ${last}`,
    async () => {
      node.check()
      const answer = await kubectl(['get', 'node', name, '--ignore-not-found', '--output=json'])
      if (answer === '') return false
      const { conditions = [] } = (JSON.parse(answer) as { status: { conditions?: NodeCondition[] } }).status
      const ready = conditions.find(({ type }) => type === 'Ready')
      last = JSON.stringify(ready)
      // The API's times have no milliseconds.
      return ready?.status === 'True' && Date.parse(ready.lastHeartbeatTime) + 1000 > since
    },
    READY_WITHIN_MS,
  )
}
