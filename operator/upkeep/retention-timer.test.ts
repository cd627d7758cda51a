import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../platform/clock.ts'
import { silentLog } from '../../platform/log.ts'
import { openSqliteLogStore } from '../../store/log/sqlite/store.ts'
import { result } from '../../test/contract/log-store/log-stores.ts'
import type { Context } from '../context.ts'
import { createDirectoryResources } from '../resources/directory/resources.ts'
import type { StatusStore } from '../resources/directory/status-store.ts'
import { retentionTimer } from './retention-timer.ts'

let directory: string
const stop = new AbortController()
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'shellcron-retention-'))
})
afterEach(async () => {
  stop.abort(new Error('the test is over'))
  await rm(directory, { recursive: true })
})

/** Shortens long sleeps. */
const hasty: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms > 1_000 ? 20 : ms, signal),
}

test('the newest fires of an object are kept, even if only a newer version can read it', async () => {
  const key = 'ShellCronJob/default/newer'
  const stored = new Map([
    [
      key,
      JSON.stringify({ uid: 'u-newer', generation: 1, created: 0, file: 'a.yaml', spec: { every: 'day' } }),
    ],
  ])
  const store: StatusStore = {
    load: () => Promise.resolve(new Map(stored)),
    put: (at, value) => Promise.resolve(void stored.set(at, value)),
    delete: at => Promise.resolve(void stored.delete(at)),
  }
  // This version cannot read its file either.
  await writeFile(join(directory, 'a.yaml'), 'apiVersion: shellcron.dev/v1alpha1\nkind: [')
  const resources = createDirectoryResources({
    directory,
    made: join(directory, '.state/runs'),
    store,
    clock: systemClock,
    log: silentLog,
  })
  await resources.start(stop.signal)
  expect(resources.unreadable('ShellCronJob', 'default', 'newer')).toBeDefined()
  const logStore = openSqliteLogStore(join(directory, 'log.db'))
  const before = (n: number, uid: string) => result(n, { uid, time: Date.now() - n * 86_400_000 })
  await logStore.record([before(400, 'u-newer'), before(400, 'u-gone')])
  const part = retentionTimer(logStore, { days: 90 })
  const done = part({ clock: hasty, log: silentLog, resources } as Context, stop.signal)
  const uids = async () => (await logStore.history({ limit: 10 })).rows.map(({ uid }) => uid)
  await expect.poll(uids).not.toContain('u-gone')
  expect(await uids()).toEqual(['u-newer'])
  stop.abort(new Error('the test is over'))
  await done
  await logStore.close()
})
