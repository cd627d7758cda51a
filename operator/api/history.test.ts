import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '../../platform/log.ts'
import type { LogStore } from '../../store/log/port.ts'
import { openSqliteLogStore } from '../../store/log/sqlite/store.ts'
import { historyRoutes } from './history.ts'
import type { Rights } from './rights.ts'
import { createApi } from './server.ts'

let dir: string
let store: LogStore
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'shellcron-history-'))
  store = openSqliteLogStore(join(dir, 'log.db'))
  const of = {
    attempt: 1,
    target: '-',
    pool: 'default',
    agent: 'a',
    final: true,
    startedAt: 1_000,
    endedAt: 2_000,
  }
  for (const [index, namespace] of ['mine', 'hidden'].entries())
    await store.record([
      {
        ...of,
        kind: 'job',
        namespace,
        name: 'backup',
        uid: `u-${namespace}`,
        generation: 1,
        run: `${namespace}.backup.${1_000 + index}`,
        time: 1_000 + index,
        outcome: 'Failed',
        message: `the password of ${namespace} is s3cret`,
      },
    ])
})
afterEach(async () => {
  await store.close()
  rmSync(dir, { recursive: true })
})

/** A user who may read `mine` only. */
const rights: Rights = {
  mayReadLogs: ({ namespace }) => Promise.resolve(namespace === 'mine'),
  refusal: ({ namespace, job }) => `may not read ${namespace} ${job}`,
}

async function history(query: Record<string, string>): Promise<{ status: number; text: string }> {
  const api = createApi([historyRoutes(store, () => rights)], silentLog)
  const answer = await api.inject({ path: '/v1/history', query })
  await api.close()
  return { status: answer.statusCode, text: answer.body }
}

test('a text is searched only in output that the client may read, so that no answer says whether it is elsewhere', async () => {
  expect(JSON.parse((await history({ namespace: 'mine', text: 's3cret' })).text)).toMatchObject({
    rows: [{ namespace: 'mine' }],
  })
  for (const where of [{}, { namespace: 'hidden' }, { namespace: 'hidden', name: 'backup' }]) {
    const right = await history({ ...where, text: 's3cret', limit: '1' })
    const wrong = await history({ ...where, text: 'guess', limit: '1' })
    expect(right.status).toBe(403)
    expect(right).toEqual(wrong)
  }
})

test('the refusal does not depend on what the namespace has', async () => {
  const of = { namespace: 'hidden', name: 'backup' }
  expect(await history({ ...of, outcome: 'Failed' })).toEqual(await history({ ...of, outcome: 'Lost' }))
})
