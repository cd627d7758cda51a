import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import type { OutputChunk } from '../../core/output/chunks.ts'
import { createPrinter, type PrinterOptions } from './printer.ts'

function printing(options: Partial<PrinterOptions> = {}) {
  const got = { stdout: '', stderr: '' }
  const to = (stream: 'stdout' | 'stderr') =>
    new Writable({
      write(bytes: Buffer, _, done) {
        got[stream] += bytes.toString('latin1')
        done()
      },
    })
  const out = { stdout: to('stdout'), stderr: to('stderr') }
  return { got, printer: createPrinter({ out, timestamps: false, prefixes: false, ...options }) }
}

const chunk = (stream: 'stdout' | 'stderr', text: string, at = 0): OutputChunk => ({
  stream,
  at,
  data: Buffer.from(text, 'latin1'),
})

test('output is printed byte for byte, each stream to its own', async () => {
  const { got, printer } = printing()
  await printer.print(chunk('stdout', 'a\xff\x00'), 'r')
  await printer.print(chunk('stderr', 'b'), 'r')
  await printer.print(chunk('stdout', '\n'), 'r')
  expect(got).toEqual({ stdout: 'a\xff\x00\n', stderr: 'b' })
})

test('a line has its prefix and the time of its first byte, even if it arrived in pieces', async () => {
  const { got, printer } = printing({ timestamps: true, prefixes: true })
  await printer.print(chunk('stdout', 'on', 1_000), 'r.a')
  await printer.print(chunk('stdout', 'other\n', 2_000), 'r.b')
  await printer.print(chunk('stdout', 'e\ntwo', 3_000), 'r.a')
  await printer.finish('r.a')
  expect(got.stdout).toBe(
    '[r.b] 1970-01-01T00:00:02.000Z other\n[r.a] 1970-01-01T00:00:01.000Z one\n[r.a] 1970-01-01T00:00:03.000Z two\n',
  )
})

test('--tail prints the last lines of both streams in order, then what follows', async () => {
  const { got, printer } = printing({ tail: 2 })
  printer.hold('r')
  await printer.print(chunk('stdout', 'one\ntwo\n'), 'r')
  await printer.print(chunk('stderr', 'three\n'), 'r')
  expect(got).toEqual({ stdout: '', stderr: '' })
  await printer.release('r')
  expect(got).toEqual({ stdout: 'two\n', stderr: 'three\n' })
  await printer.print(chunk('stdout', 'four\n'), 'r')
  expect(got.stdout).toBe('two\nfour\n')
})

test('one stream only, and only since a time', async () => {
  const { got, printer } = printing({ only: 'stderr', since: 5 })
  await printer.print(chunk('stderr', 'early', 4), 'r')
  await printer.print(chunk('stdout', 'out', 5), 'r')
  await printer.print(chunk('stderr', 'late', 5), 'r')
  expect(got).toEqual({ stdout: '', stderr: 'late' })
})

test('missing output is reported on stderr', async () => {
  const { got, printer } = printing()
  await printer.print({ stream: 'cut', at: 1, stdout: 7, stderr: 0 }, 'r')
  await printer.print({ stream: 'cut', at: 1, stdout: 7, stderr: 0, error: 'ENOSPC' }, 'r')
  await printer.print({ stream: 'lost', at: 1, bytes: 9, next: 0 }, 'r')
  expect(got).toEqual({
    stdout: '',
    stderr: [
      '[shellcron: 7 bytes of stdout and 0 of stderr were cut by outputLimit]\n',
      '[shellcron: 7 bytes of stdout and 0 of stderr were cut because the machine could not write them: ENOSPC]\n',
      "[shellcron: 9 bytes of output were lost: the agent's spool was full before the operator had stored them]\n",
    ].join(''),
  })
})
