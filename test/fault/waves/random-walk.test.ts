import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type Fleet, startFleet } from '../../fixtures/fleet.ts'
import { maxConcurrency } from '../../fixtures/max-concurrency.ts'
import { violations } from '../../fixtures/promise.ts'
import { eventually } from '../eventually.ts'

/** maxParallel holds, and every target gets its outcome, while agents and etcd's leader are killed. */
let fleet: Fleet | undefined
afterEach(async () => {
  await fleet?.stop()
  fleet = undefined
})

const AGENTS = ['one', 'two', 'three', 'four', 'five', 'six']

const enrolled = (name: string) => `apiVersion: shellcron.dev/v1alpha1
kind: ShellAgent
metadata: { name: ${name} }
spec: { external: {} }
`
/** Each command records every 0.1 s that it runs, for one second. */
const job = (dir: string, suspend = false) => `apiVersion: shellcron.dev/v1alpha1
kind: ShellCronJob
metadata: { name: roll }
spec:
  schedule: "*/5 * * * * *"
  suspend: ${suspend}
  template:
    spec:
      target: { mode: All, maxParallel: 2 }
      host: {}
      script: |
        echo "$SHELLCRON_RUN_ID $SHELLCRON_ATTEMPT $SHELLCRON_AGENT" >> ${dir}/truth
        i=0
        while [ $i -lt 10 ]; do
          echo "$SHELLCRON_RUN_ID $(date +%s%3N)" >> ${dir}/ticks
          sleep 0.1
          i=$((i + 1))
        done
`

test("maxParallel 2 holds while agents and etcd's leader are killed in the middle of waves", async () => {
  fleet = await startFleet(AGENTS)
  const { dir, operator, agent, etcd, truth, write, entry: entryOf } = fleet
  await write('agents.yaml', AGENTS.map(enrolled).join('---\n'))
  await operator.start()
  await Promise.all(AGENTS.map(name => agent(name).start()))
  await write('roll.yaml', job(dir))
  const entry = await eventually('the job is in force', async () => {
    const entry = await entryOf('roll')
    return entry && !entry.suspended && entry
  })
  const starts = async (count: number) =>
    eventually(`${count} starts`, async () => (await truth()).length >= count, 60_000)
  /** SIGKILLs the agent whose run started last and is active. */
  const killLast = async () => {
    const name = (await truth()).at(-1)?.split(' ')[2] ?? ''
    await agent(name).kill()
    return name
  }

  await starts(3)
  const first = await killLast()
  await starts(5)
  const leader = await etcd.leader()
  await leader.kill()
  await starts(7)
  const second = await killLast()
  await agent(first).start()
  await leader.start()
  await starts(10)
  await agent(second).start()
  await starts(13)

  const until = Date.now() - 2_000
  await write('roll.yaml', job(dir, true))
  await eventually(
    'everything is recorded',
    async () => (await entryOf('roll'))?.suspended === true && (await fleet?.isQuiet()),
    60_000,
  )
  const outcomes = await fleet.outcomes()
  expect(violations({ entry, outcomes, truth: await truth(), until, targets: AGENTS })).toEqual([])
  expect(maxConcurrency(await readFile(join(dir, 'ticks'), 'utf8'))).toBe(2)
  const { items } = await fleet.client.list(fleet.keys.cells())
  const wave = items.find(({ key }) => key.endsWith('/@wave'))
  expect(JSON.parse(wave?.value ?? '')).toMatchObject({ active: [] })
}, 180_000)
