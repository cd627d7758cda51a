import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chunkHeader, chunksIn, HEADER_BYTES, KIND } from './spool-format.ts'
import { recoverOutput, recoverTail } from './spool-recover.ts'
import { Tail } from './tail.ts'

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'shellcron-recover-'))
})
afterAll(() => rmSync(dir, { recursive: true }))

const TIME = 1_700_000_000_000
const ran = { from: TIME, to: TIME }
const chunk = (kind: number, data: string | Buffer, at = TIME) =>
  Buffer.concat([chunkHeader(kind, at, data.length), Buffer.from(data)])
const many = (count: number, each: (n: number) => Buffer) => Array.from({ length: count }, (_, n) => each(n))
const spool = (chunks: Buffer[]) => {
  const path = join(dir, 'spool')
  writeFileSync(path, Buffer.concat(chunks))
  return path
}

const long = Buffer.from('0123456789abcdef'.repeat(4096))
const printed = Buffer.concat([
  long.subarray(300),
  chunk(KIND.stdout, 'of another run', TIME - 86_400_000),
  chunk(KIND.stderr, 'too', TIME - 86_400_000),
])

test.each([
  ['nothing', []],
  ['little', [chunk(KIND.stdout, 'one'), chunk(KIND.stderr, 'two')]],
  ['long chunks', [...many(20, () => chunk(KIND.stdout, long)), chunk(KIND.stderr, 'end')]],
  ['short chunks', many(30_000, n => chunk(n % 2 ? KIND.stdout : KIND.stderr, `line ${n}\n`))],
  ['a spool that was printed', many(20, () => chunk(KIND.stdout, printed))],
  ['a torn one', [...many(20, () => chunk(KIND.stdout, long)), chunk(KIND.stdout, 'torn').subarray(0, 15)]],
  ['those of another clock', many(20, () => chunk(KIND.stdout, long, 4_711))],
])('the tail of %s is found from the end, and on the whole way', (_, chunks) => {
  const path = spool(chunks)
  const tail = new Tail()
  const bytes = Buffer.concat(chunks)
  for (const { from, to } of chunksIn(bytes)) tail.push(bytes.subarray(from + HEADER_BYTES, to))
  expect(recoverTail(path, ran)).toBe(tail.text())
  expect(recoverOutput(path).tail).toBe(tail.text())
})

test('where output was cut the tail is that of the mark', () => {
  const mark = chunk(KIND.cut, JSON.stringify({ stdout: 9, stderr: 0, tail: 'marked' }))
  const path = spool([...many(20, () => chunk(KIND.stdout, long)), mark])
  expect([recoverTail(path, ran), recoverOutput(path).tail]).toEqual(['marked', 'marked'])
})

/** What this process has read so far, from the page cache too. */
const readSoFar = () => Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])

test.runIf(process.platform === 'linux')('of a long spool little is read', () => {
  const bytes = 1_000 * long.length
  const path = spool(many(1_000, () => chunk(KIND.stdout, long)))
  const before = readSoFar()
  const counted = recoverOutput(path)
  const after = readSoFar()
  expect(after - before).toBeLessThan(bytes / 10)
  expect(counted.stdout).toEqual({ bytes, cut: 0 })
  expect(recoverTail(path, ran)).toBe(counted.tail)
  expect(readSoFar() - after).toBeLessThan(1_000_000)
})
