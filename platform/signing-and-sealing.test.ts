import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { seal, unseal } from './sealing.ts'
import { signedText, signText, verifyText } from './signing.ts'

const signer = generateKeyPairSync('ed25519')
const other = generateKeyPairSync('ed25519')
const pool = generateKeyPairSync('x25519')

test('a signed text verifies with its own key only', () => {
  const value = signText('{"a":1}', signer.privateKey)
  expect(verifyText(value, signer.publicKey)).toBe('{"a":1}')
  expect(verifyText(value, other.publicKey)).toBeUndefined()
  expect(signedText(value)).toBe('{"a":1}')
})

test('a changed or malformed text does not verify', () => {
  const value = signText('{"a":1}', signer.privateKey)
  expect(verifyText(value.replace('1}', '2}'), signer.publicKey)).toBeUndefined()
  expect(verifyText('null', signer.publicKey)).toBeUndefined()
  expect(verifyText('not json', signer.publicKey)).toBeUndefined()
})

test('a sealed text opens only with its key and in its context', () => {
  const sealed = seal('geheim ☂', pool.publicKey, 'ops/job')
  expect(unseal(sealed, pool.privateKey, 'ops/job')).toBe('geheim ☂')
  expect(unseal(sealed, pool.privateKey, 'ops/other')).toBeUndefined()
  expect(unseal(sealed, generateKeyPairSync('x25519').privateKey, 'ops/job')).toBeUndefined()
  expect(unseal(`${sealed.slice(0, -8)}AAAAAAA=`, pool.privateKey, 'ops/job')).toBeUndefined()
  expect(unseal('', pool.privateKey, 'ops/job')).toBeUndefined()
})

test('the same text is sealed differently each time', () => {
  expect(seal('x', pool.publicKey, 'c')).not.toBe(seal('x', pool.publicKey, 'c'))
})
