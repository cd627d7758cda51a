import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { followRun } from '../../../cli/run/follow.ts'
import { historyRoutes } from '../../../operator/api/history.ts'
import { outputRoutes } from '../../../operator/api/output.ts'
import { rightsOnSocket } from '../../../operator/api/rights.ts'
import { runRoutes } from '../../../operator/api/runs.ts'
import { serveApi } from '../../../operator/api/server.ts'
import { silentLog } from '../../../platform/log.ts'
import type { LogStore, StoredResult } from '../../../store/log/port.ts'
import { openSqliteLogStore } from '../../../store/log/sqlite/store.ts'
import { result } from '../../contract/log-store/log-stores.ts'

/** `shellcron run --wait` on the operator's routes and a real log store, if the object is deleted before its end was seen. */
const RUN = 'ops.once.run-00000000'
let dir: string
let store: LogStore
let api: { close(): Promise<void> }
let going: string[]
const said = { stdout: '', stderr: '' }

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shellcron-follow-'))
  store = openSqliteLogStore(join(dir, 'log.db'))
  going = []
  Object.assign(said, { stdout: '', stderr: '' })
  for (const stream of ['stdout', 'stderr'] as const)
    vi.spyOn(process[stream], 'write').mockImplementation(text => {
      said[stream] += String(text)
      return true
    })
  const none = () => Promise.reject(new Error('nobody asks for it'))
  const routes = [
    historyRoutes(store, rightsOnSocket),
    runRoutes({
      resources: { get: () => undefined, createRun: none },
      mirrors: { storedJobs: () => [] },
      objectOf: () => undefined,
    }),
    outputRoutes(
      {
        latest: none,
        attempts: async () => going.map(run => ({ uid: 'u', run, attempt: 1, going: true })),
        waits: () => false,
        async *stream() {},
        jobOf: none,
      },
      rightsOnSocket,
    ),
  ]
  api = await serveApi(join(dir, 'sock'), routes, silentLog)
})
afterEach(async () => {
  vi.restoreAllMocks()
  await api.close()
  await store.close()
  await rm(dir, { recursive: true })
})

function ended(target: string, over: Partial<StoredResult> = {}): StoredResult {
  const run = target === '-' ? RUN : `${RUN}.${target}`
  return result(0, { kind: 'run', name: 'once', uid: '00000000-1', run, target, ...over })
}
const wait = () => followRun(join(dir, 'sock'), { namespace: 'ops', name: 'once', run: RUN })

test('the result says how it ended, even if it is stored a moment later', async () => {
  const code = wait()
  const before = { run: 'ops.once.run-11111111', uid: '11111111-1', outcome: 'Failed' } as const
  await store.record([ended('-', before)])
  setTimeout(() => void store.record([ended('-')]), 700)
  expect(await code).toBe(0)
  expect(said).toMatchObject({
    stdout: expect.stringMatching(/^\S+ ops\/once Succeeded.*\n$/) as string,
    stderr: '',
  })
})

test('it is not over while a target runs or a retry is due; the gravest outcome counts', async () => {
  going = [`${RUN}.b`]
  await store.record([ended('a'), ended('c', { outcome: 'Failed', exitCode: 3, final: false })])
  const code = wait()
  setTimeout(() => void store.record([ended('c', { attempt: 2 })]), 500)
  setTimeout(() => {
    going = []
    void store.record([ended('b', { outcome: 'Failed', exitCode: 3, reason: 'NonZeroExitCode' })])
  }, 2_000)
  expect(await code).toBe(1)
  expect(said.stderr).toBe(
    'shellcron: ops/once: Failed on 1 of 3 targets (b): exit code 3 (NonZeroExitCode)\n',
  )
  expect(said.stdout.split('\n')).toHaveLength(5)
})
