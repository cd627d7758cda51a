import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { createKeys } from '../../core/keys.ts'
import { jobEntrySchema, runEntrySchema } from '../../core/records/entry.ts'
import { signText } from '../../platform/signing.ts'
import { jobEntry } from '../../test/fixtures/job-entry.ts'
import { readSignedEntry } from './signed-records.ts'

const keys = createKeys()
const operator = generateKeyPairSync('ed25519')
const other = generateKeyPairSync('ed25519')
const admits = () => true
const readJob = readSignedEntry(operator.publicKey, jobEntrySchema, { parseKey: keys.parseJob, admits })
const readRun = readSignedEntry(operator.publicKey, runEntrySchema, { parseKey: keys.parseRun, admits })

const entry = jobEntry({})
const text = JSON.stringify(entry)
const signed = signText(text, operator.privateKey)
const ref = { pool: entry.pool, namespace: entry.namespace, name: entry.name }
const item = (key: string, value: string) => ({ key, value, mod: 1, create: 1, lease: '0' })

test('an entry that the operator signed is read under its own key', () => {
  expect(readJob(item(keys.job(ref), signed))).toEqual(entry)
})

test.each([
  ['unsigned', text],
  ['signed with another key', signText(text, other.privateKey)],
  ['changed after it was signed', signed.replace('@hourly', '@daily')],
])('an entry that is %s is refused', (_, value) => {
  expect(value).not.toBe(signed)
  expect(readJob(item(keys.job(ref), value))).toBeUndefined()
})

test.each([
  ['pool', keys.job({ ...ref, pool: 'db' })],
  ['namespace', keys.job({ ...ref, namespace: 'shop' })],
  ['name', keys.job({ ...ref, name: 'b' })],
])('a signed entry that was copied to another %s is refused', (_, key) => {
  expect(readJob(item(key, signed))).toBeUndefined()
})

test('the entry of a job is refused as that of a ShellRun', () => {
  expect(readRun(item(keys.run(ref), signed))).toBeUndefined()
})
