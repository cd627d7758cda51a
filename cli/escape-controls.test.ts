import { expect, test } from 'vitest'
import { escapeControls, escapeLines, toJsonLine } from './escape-controls.ts'

test.each([
  ['ESC', 'a\u001b[2Jb', 'a\\u001b[2Jb'],
  ['BEL', '\u0007', '\\u0007'],
  ['a newline', 'a\nb', 'a\\nb'],
  ['DEL', '\u007f', '\\u007f'],
  ['the CSI of C1', '\u009b2J', '\\u009b2J'],
  ['a right-to-left override', 'a\u202eb', 'a\\u202eb'],
  ['an isolate', '\u2066', '\\u2066'],
  ['a line separator', '\u2028', '\\u2028'],
  ['half a surrogate pair', '\ud800', '\\ud800'],
])('%s is escaped', (_, text, escaped) => {
  expect(escapeControls(text)).toBe(escaped)
})

test('other text stays as it is', () => {
  const text = 'naïve 日本語 עברית 🙂 \\n "quoted"'
  expect(escapeControls(text)).toBe(text)
})

test('lines stay lines', () => {
  expect(escapeLines('a\n\u001bb')).toBe('a\n\\u001bb')
})

test('JSON has the same value after its control characters are escaped', () => {
  const value = { name: 'a\u009b\u007f\u202e\n"\\', list: ['\u001b'] }
  const line = toJsonLine(value)
  expect(line).not.toMatch(/(?!\n)[\p{Cc}\u202e]/u)
  expect(JSON.parse(line)).toEqual(value)
})
