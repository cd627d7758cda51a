import fc from 'fast-check'
import { expect, test } from 'vitest'
import { redact } from './redact.ts'

const SECRET = "p4ss 'w/rd+ü"
const PEM = '-----BEGIN KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\nAQEFAASCBKcw\n-----END KEY-----\n'
const whole = (text: string, ...values: string[]) => redact(text, values, { cut: false })
const end = (text: string, ...values: string[]) => redact(text, values, { cut: true })
const b64 = (text: string) => Buffer.from(text).toString('base64')

test.each([
  ['as it is', SECRET, '***'],
  ['in a line', `a ${SECRET} b\n`, 'a *** b\n'],
  ['twice', `${SECRET},${SECRET}`, '***,***'],
  ['in JSON', JSON.stringify({ p: 'x', s: SECRET }), '{"p":"x","s":"***"}'],
  ['in a URL', `https://u:${encodeURIComponent(SECRET)}@h`, 'https://u:***@h'],
  ['in a form', new URLSearchParams({ s: SECRET }).toString(), 's=***'],
  ['traced by bash', String.raw`+ echo 'p4ss '\''w/rd+ü'`, "+ echo '***'"],
  ['traced by dash', `+ echo 'p4ss '"'"'w/rd+ü'`, "+ echo '***'"],
  ['in base64', b64(SECRET), '***'],
  ['in base64, as echo gives it', b64(`${SECRET}\n`), '***'],
  ['in base64 for URLs', Buffer.from(SECRET).toString('base64url'), '***'],
])('a value is masked %s', (_, text, masked) => {
  expect(whole(text, SECRET)).toBe(masked)
})

test.each(['', 'u', 'u:', 'us:'])('a value after "%s" is fully redacted in base64', before => {
  const value = 'correct-horse-battery'
  const redacted = whole(b64(`${before}${value}@host`), value)
  expect(redacted).toContain('***')
  const rest = redacted.split('***').map(part => Buffer.from(part, 'base64').toString('latin1'))
  for (let i = 0; i + 3 <= value.length; i++)
    for (const part of rest) expect(part).not.toContain(value.slice(i, i + 3))
})

test('a value in wrapped base64 is redacted', () => {
  const lines = b64(`user:${'correct-horse-battery,'.repeat(8)}`).replaceAll(/(.{76})/g, '$1\n')
  expect(lines).toContain('\n')
  expect(whole(`Authorization: ${lines}`, 'correct-horse-battery,'.repeat(8))).toMatch(
    /^Authorization: .{0,8}\*\*\*.{0,4}$/,
  )
})

test('each line of a value is redacted, also with indentation or CR LF', () => {
  expect(whole(PEM, PEM)).toBe('***\n')
  expect(whole(PEM.replaceAll('\n', '\r\n'), PEM)).not.toMatch(/BEGIN|MII|Bgk|AQE|END/)
  expect(whole('  key: |\n    BgkqhkiG9w0B\n', PEM)).toBe('  key: |\n    ***\n')
  expect(whole(JSON.stringify(PEM.trim()), PEM)).toBe('"***"')
})

/** A key file of a cloud account: its JSON has the newlines of the key as \\n. */
const KEY = PEM.replace('AQEFAASCBKcw', 'AQEF/ASCBKcw')
const ACCOUNT = JSON.stringify({ project: 'p', private_key: KEY, nested: [{ token: 'tok"en-\\-1234' }] })

/** As dash's `echo` prints a text. */
const echoed = (text: string) => text.replaceAll('\\n', '\n').replaceAll('\\\\', '\\')

test.each([
  ['printed as it is', ACCOUNT],
  ['printed by echo of dash', echoed(ACCOUNT)],
  ['pretty-printed', JSON.stringify(JSON.parse(ACCOUNT), undefined, 2)],
  ['decoded and one field of it printed', KEY],
  ['decoded, and one field of it in base64', b64(KEY)],
  ['decoded, and one field of it in a URL', encodeURIComponent(KEY)],
  ['printed by echo and wrapped in base64', b64(echoed(ACCOUNT)).replaceAll(/(.{76})/g, '$1\n')],
])('no key and no token of a JSON value is left when it is %s', (_, text) => {
  const shown = whole(text, ACCOUNT)
  const decoded = Buffer.from(shown.replaceAll(/\*{3}|\s/g, ''), 'base64').toString('latin1')
  for (const each of [shown, decoded]) expect(each).not.toMatch(/MIIEv|Bgkqh|AQEF|BEGIN|en-\\+-1234/)
  if (_ !== 'decoded and one field of it printed')
    expect(end(text.slice(-60), ACCOUNT)).not.toMatch(/AQEF|1234/)
})

test.each([
  ['echo of dash', String.raw`first\tword\0101\\end`, 'first\twordA\\end'],
  ['printf', String.raw`first\tword\101\\end`, 'first\twordA\\end'],
  ['echo -e of bash', String.raw`first\x41\u00fcword\e`, 'firstAüword\u001b'],
  ['echo, up to the \\c at which it ends', String.raw`first-part\csecond`, 'first-part'],
])('a value is redacted when %s has resolved its escapes', (_, value, printed) => {
  expect(whole(`> ${printed} <`, value)).toMatch(/^> \*\*\*\s* <$/)
})

test('a part of a value with fewer than eight characters is not redacted', () => {
  const value = JSON.stringify({ type: 'service', user: 'administrator' })
  expect(whole('service administrator', value)).toBe('service ***')
  expect(whole('seven77\neight888\n', 'seven77\neight888')).toBe('***\n')
  expect(whole('seven77 and eight888', 'seven77\neight888')).toBe('seven77 and ***')
})

test('names of fields in JSON are not redacted', () => {
  expect(whole('client_email: ***', '{"client_email":"someone@example.org"}')).toBe('client_email: ***')
})

test('overlapping values are redacted as one', () => {
  expect(whole('xabcdefx', 'abcd', 'cdef')).toBe('x***x')
  expect(whole('xabcdefx', 'abcd', 'abcdef')).toBe('x***x')
  expect(whole('abcdabcd', 'abcd')).toBe('***')
})

test('a value with fewer than four characters is not redacted', () => {
  expect(whole('yes: abc', 'yes', '', ' \n', 'abc')).toBe('yes: abc')
  expect(whole('yes: abcd', 'abcd')).toBe('yes: ***')
  expect(whole('a\n{\n', '{\n  "a": "long enough"\n}')).toBe('a\n{\n')
})

test('the end of a value at the start of a tail is redacted, in every encoding', () => {
  const value = 'correct-horse-battery'
  for (let from = 1; from < value.length; from++)
    expect(end(`${value.slice(from)} then more`, value)).toBe('*** then more')
  expect(end(`${b64(value).slice(9)}\nnext`, value)).toBe('***\nnext')
  expect(end(PEM.slice(30), PEM)).toBe('***\n')
  expect(whole('battery then more', value)).toBe('battery then more')
})

test('a text that is part of a value is redacted as a whole', () => {
  const long = Array.from({ length: 400 }, (_, i) => `k${i}`).join('')
  expect(end(long.slice(100, 612), long)).toBe('***')
  expect(end(b64(long).slice(100, 612), long)).toBe('***')
})

test('an incomplete value at the end is redacted', () => {
  expect(whole('password: correct-ho', 'correct-horse-battery')).toBe('password: ***')
  expect(whole('password: cor', 'correct-horse-battery')).toBe('password: cor')
})

test('without values a text is not changed', () => {
  expect(end('anything')).toBe('anything')
  expect(end('', SECRET)).toBe('')
})

test('no character of a value is left, whatever the text around it and the start of the tail', () => {
  const from = (letters: string, size: object) =>
    fc.string({ unit: fc.constantFrom(...letters.split('')), ...size })
  const line = from('ABC012+/', { minLength: 8, maxLength: 12 })
  const value = fc.array(line, { minLength: 1, maxLength: 4 }).map(lines => lines.join('\n'))
  const around = from('xyz \n', { maxLength: 12 })
  const writing = fc.constantFrom<(text: string) => string>(
    text => text,
    text => text.replaceAll('\n', '\r\n  '),
    text => JSON.stringify(text).slice(1, -1),
  )
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 3 }),
      around,
      around,
      writing,
      fc.integer({ min: 1, max: 40 }),
      (values, before, after, write, length) => {
        const all = values.map(each => `${before}${write(each)}${after}`).join('')
        const text = all.slice(-length)
        expect(redact(text, values, { cut: text !== all })).not.toMatch(/[A-C0-2+/]/)
      },
    ),
    { numRuns: 500 },
  )
})
