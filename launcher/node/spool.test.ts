import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Spool, spoolName } from './spool.ts'
import { readSpool } from './spool-read.ts'
import { recoverOutput } from './spool-recover.ts'
import { Tail } from './tail.ts'

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'shellcron-spool-'))
})
afterAll(() => rmSync(dir, { recursive: true }))

test('no two ids share a file, and each is a plain name', () => {
  const id = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1 }),
    fc.string({ minLength: 300, maxLength: 400 }),
    fc.constantFrom('.', '..', '../x', '\ud800'),
  )
  fc.assert(
    fc.property(id, id, (a, b) => {
      expect(spoolName(a)).toMatch(/^[^./][^/]{0,254}$/)
      expect(spoolName(a) === spoolName(b)).toBe(a === b)
    }),
  )
})

test('a tail is valid text of at most 512 bytes', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 700 })), pieces => {
      const tail = new Tail()
      for (const piece of pieces) tail.push(Buffer.from(piece))
      const text = tail.text()
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(512)
      expect(text.isWellFormed()).toBe(true)
      const all = Buffer.concat(pieces).toString()
      if (Buffer.byteLength(all) <= 512) expect(text).toBe(all)
    }),
  )
})

test('without a file that can be written all output is cut, with the reason', async () => {
  writeFileSync(join(dir, 'file'), '')
  const spool = new Spool(join(dir, 'file', 'spool'), 100)
  spool.push('stdout', 1, Buffer.from('hello'))
  expect(await spool.finish(2)).toEqual({
    stdout: { bytes: 0, cut: 5 },
    stderr: { bytes: 0, cut: 0 },
    tail: 'hello',
    spoolError: 'ENOTDIR',
  })
})

test('what a crash left of a last chunk is not read', async () => {
  const path = join(dir, 'torn')
  const spool = new Spool(path, 100)
  spool.push('stdout', 1, Buffer.from('one'))
  spool.push('stderr', 2, Buffer.from('second'))
  await spool.finish(3)
  const bytes = await readFile(path)
  writeFileSync(path, bytes.subarray(0, -1))
  expect(recoverOutput(path)).toEqual({
    stdout: { bytes: 3, cut: 0 },
    stderr: { bytes: 0, cut: 0 },
    tail: 'one',
  })
  const part = await readSpool(path, { offset: 0, length: 1_000, stream: undefined })
  expect(part.next).toBe(16)
})
