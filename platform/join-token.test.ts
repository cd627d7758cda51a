import { expect, test } from 'vitest'
import { joinTokenText, newJoinToken, parseJoinToken, sha256 } from './join-token.ts'

test('a token is one word that no shell changes, and can be read back', () => {
  const token = newJoinToken('web-1', Buffer.from('a certificate'))
  const text = joinTokenText(token)
  expect(text).toMatch(/^sc1\.[\w-]+$/)
  expect(parseJoinToken(text)).toEqual(token)
  expect(token.ca).toBe(sha256('a certificate'))
})

test('two tokens for one agent have different secrets', () => {
  const [a, b] = [newJoinToken('a', Buffer.of(1)), newJoinToken('a', Buffer.of(1))]
  expect(a.secret).not.toBe(b.secret)
})

test.each(['', 'sc1.', 'eyJhIjoxfQ', 'sc1.eyJhIjoxfQ', 'sc2.eyJhIjoxfQ', 'sc1.%%%'])(
  '%j is no token',
  text => {
    expect(parseJoinToken(text)).toBeUndefined()
  },
)

test('a token that was copied in part is none', () => {
  const text = joinTokenText(newJoinToken('web-1', Buffer.of(1)))
  expect(parseJoinToken(text.slice(0, -10))).toBeUndefined()
})
