import { expect, test } from 'vitest'
import { createCa, issue } from '../../platform/certificates.ts'
import { whyRenew } from './etcd-certificate.ts'

const HOUR = 3_600_000
const NAMES = ['etcd', 'etcd-0.etcd.ns.svc', '127.0.0.1']
const now = Date.now()

const ca = await createCa({ commonName: 'test', days: 300 })
const issued = async (names: string[], hours: number) =>
  (await issue(ca, { commonName: names[0] ?? '', names, usage: 'both', hours })).cert
const judge = async (of: { names?: string[]; at?: number; authority?: string }) =>
  whyRenew(
    { ca: ca.cert, cert: await issued(NAMES, 90 * 24) },
    {
      names: of.names ?? NAMES,
      authority: { caCert: of.authority ?? ca.cert },
      clock: { now: () => of.at ?? now },
    },
  )

test('a fresh certificate stays, whatever the order of the names', async () => {
  expect(await judge({})).toBeUndefined()
  expect(await judge({ names: NAMES.toReversed() })).toBeUndefined()
})

test('a certificate is renewed at two thirds of its life, and not before', async () => {
  expect(await judge({ at: now + 59 * 24 * HOUR })).toBeUndefined()
  expect(await judge({ at: now + 61 * 24 * HOUR })).toBe('it is two thirds through its life')
})

test('a certificate is issued anew for other names, of another authority, and when there is none', async () => {
  expect(await judge({ names: [...NAMES, 'etcd.example.com'] })).toBe('the names have changed')
  const other = await createCa({ commonName: 'test', days: 300 })
  expect(await judge({ authority: other.cert })).toBe('it is of another authority')
  expect(whyRenew(undefined, { names: NAMES, authority: { caCert: ca.cert } })).toBe('there is none')
  expect(whyRenew({ ca: ca.cert, cert: 'x' }, { names: NAMES, authority: { caCert: ca.cert } })).toMatch(
    /cannot be read/,
  )
})
