import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { flock } from './flock.ts'

test('a locked file cannot be locked again until it is released', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'shellcron-flock-'))
  const path = join(dir, 'lock')
  const first = await flock(path)
  expect(first.kind).toBe('locked')
  expect((await flock(path)).kind).toBe('held')
  if (first.kind === 'locked') first.release()
  expect((await flock(path)).kind).toBe('locked')
  rmSync(dir, { recursive: true })
})
