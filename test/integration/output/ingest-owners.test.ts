import { afterEach, beforeEach, expect, test } from 'vitest'
import type { BatchPiece, PieceAnswer } from '../../../core/output/batch.ts'
import type { Active } from '../../../core/records/state.ts'
import { createOwners } from '../../../operator/ingest/owners.ts'
import { result } from '../../contract/log-store/log-stores.ts'
import { eventually } from '../../fault/eventually.ts'
import { type IngestFixture, startIngest } from '../../fixtures/ingest.ts'
import { cronJob, NS, object, type StartedOperator } from '../../fixtures/operator.ts'
import { operatorForEach } from '../../fixtures/operator-for-each.ts'

/** Whose output is accepted: etcd and the log store say which agent ran which attempt. */
const fixture = operatorForEach()
let ingest: IngestFixture
let operator: StartedOperator
let uid: string

const TIME = Date.UTC(2026, 0, 1)
const RUN = `${NS}.job.${TIME}`

beforeEach(async () => {
  await fixture.write('job.yaml', cronJob('job'))
  operator = await fixture.operator()
  const { mirrors, keys } = operator.context
  ingest = await startIngest(undefined, store => createOwners({ mirrors, keys, store }))
  uid = (await eventually('the entry', () => mirrors.jobs.get(keys.job(ref()))?.value)).uid
})
afterEach(() => ingest.close())

const ref = (pool = 'default') => ({ pool, namespace: NS, name: 'job' })

function active(over: Partial<Active> = {}): Active {
  const of = { run: RUN, kind: 'job', uid, generation: 1, namespace: NS, name: 'job', target: '-' } as const
  return { ...of, time: TIME, attempt: 1, notBefore: TIME, session: 7, instance: 'i', ...over }
}

/** Puts it as an agent does. Resolves once the operator sees it. */
async function claimed(agent: string, over: Partial<Active> = {}, pool = 'default'): Promise<string> {
  const key = fixture.keys.active(pool, agent, over.run ?? RUN)
  await fixture.put(key, active(over))
  await eventually('the claim is seen', () => seen(key)?.value.attempt === active(over).attempt)
  return key
}

async function left(key: string): Promise<void> {
  await fixture.delete(key)
  await eventually('its end is seen', () => seen(key) === undefined)
}

const seen = (key: string) => operator.context.mirrors.actives.get(key)

async function bring(agent: string, over: Partial<BatchPiece> = {}, pool = 'default'): Promise<PieceAnswer> {
  const chunks = Buffer.concat([Buffer.from([1]), Buffer.alloc(11), Buffer.from([agent.length])])
  const whole = Buffer.concat([chunks, Buffer.from(agent)])
  const client = await ingest.client(agent, { pool })
  const of = { uid, run: RUN, attempt: 1, namespace: NS, name: 'job' }
  const sent = await client.send(
    [{ ...of, offset: 0, next: whole.length, chunks: whole, ...over }],
    new AbortController().signal,
  )
  if (sent.kind !== 'answered') throw new Error(sent.kind === 'failed' ? sent.why : sent.kind)
  return sent.answers[0] ?? { stored: -1 }
}

const LATER = { stored: 0, later: true }
const NOT_YOURS = { stored: 0, refused: 'NotYours' }
const STORED = { stored: 14 }

test('output of an unclaimed run is neither accepted nor refused; output of its claimer is accepted', async () => {
  expect(await bring('a')).toEqual(LATER)
  expect(await ingest.head(RUN)).toBeUndefined()
  await claimed('a')
  expect(await bring('b')).toEqual(LATER)
  expect(await bring('a', {}, 'other')).toEqual(LATER)
  expect(await bring('a')).toEqual(STORED)
  expect(await bring('b')).toEqual(NOT_YOURS)
  expect(await bring('a', {}, 'other')).toEqual(NOT_YOURS)
  expect(await ingest.head(RUN)).toMatchObject({ agent: 'a', bytes: 1 })
})

test('output that arrives after the end of its run is accepted, before its result is stored and after', async () => {
  await left(await claimed('a'))
  expect(await bring('b')).toEqual(NOT_YOURS)
  expect(await bring('a')).toEqual(STORED)
})

test('the result names the owner of a run that ended without an operator, also if another agent buried it', async () => {
  const lost = { uid, run: RUN, namespace: NS, name: 'job', time: TIME, agent: 'a' }
  await ingest.record([result(0, { ...lost, outcome: 'Lost', reason: 'AgentLost' })])
  expect(await bring('b')).toEqual(NOT_YOURS)
  expect(await bring('a')).toEqual(STORED)
})

test('each attempt belongs to the agent that ran it', async () => {
  const first = await claimed('a')
  await left(first)
  await claimed('b', { attempt: 2 })
  expect(await bring('a')).toEqual(STORED)
  expect(await bring('b', { attempt: 2 })).toEqual(STORED)
  expect(await bring('a', { attempt: 2 })).toEqual(NOT_YOURS)
  expect(await bring('a', { attempt: 3 })).toEqual(LATER)
})

test('output of an attempt is accepted after the next attempt has replaced it on the same agent', async () => {
  await claimed('a')
  await claimed('a', { attempt: 2 })
  expect(await bring('a')).toEqual(STORED)
  expect(await bring('a', { attempt: 2 })).toEqual(STORED)
})

test("a claim in another pool's keys, of a missing object or with a false id does not count", async () => {
  await claimed('spy', {}, 'other')
  expect(await bring('spy', {}, 'other')).toEqual(LATER)
  await claimed('a', { uid: 'another-life' })
  expect(await bring('a', { uid: 'another-life' })).toEqual(LATER)
  const foreign = { run: `secret.job.${TIME}` }
  await claimed('a', foreign)
  expect(await bring('a', foreign)).toEqual(LATER)
  expect(await bring('a', { ...foreign, namespace: 'secret' })).toEqual(LATER)
})

test('an agent cannot store its output under the name of another object', async () => {
  await claimed('a')
  expect(await bring('a', { namespace: 'secret' })).toEqual(NOT_YOURS)
  expect(await bring('a', { name: 'other' })).toEqual(NOT_YOURS)
})

test("a ShellRun's run belongs to its claimer, on each target", async () => {
  const spec = { template: { spec: { host: {}, script: 'true', target: { mode: 'All' } } } }
  await fixture.write('run.yaml', object('ShellRun', 'once', spec, NS))
  const entry = await eventually('the entry', () => fixture.run('once'))
  await eventually('it is seen', () => {
    const { mirrors, keys } = operator.context
    return mirrors.runs.get(keys.run({ ...ref(), name: 'once' }))
  })
  const on = (target: string) => {
    const run = `${NS}.once.run-${entry.uid.slice(0, 8)}.${target}`
    return { run, uid: entry.uid, name: 'once' }
  }
  await claimed('a', { ...on('a'), kind: 'run', target: 'a' })
  await left(await claimed('b', { ...on('b'), kind: 'run', target: 'b' }))
  expect(await bring('a', on('a'))).toEqual(STORED)
  expect(await bring('b', on('b'))).toEqual(STORED)
  expect(await bring('b', on('a'))).toEqual(NOT_YOURS)
})

test('a query and a loss are answered for the owner only', async () => {
  const question = { offset: 0, next: 0, chunks: new Uint8Array() }
  const loss = { ...question, total: 100, end: true }
  expect([await bring('a', question), await bring('a', loss)]).toEqual([LATER, LATER])
  await claimed('a')
  expect(await bring('a', question)).toEqual({ stored: 0, bytes: 0 })
  expect(await bring('b', question)).toEqual(NOT_YOURS)
  expect(await bring('b', loss)).toEqual(NOT_YOURS)
  expect(await bring('a', loss)).toEqual({ stored: 100 })
})
