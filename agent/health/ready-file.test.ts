import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createReadyFile } from './ready-file.ts'

test('the file exists while the agent is ready, and one of an earlier process is removed', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'shellcron-ready-'))
  try {
    const path = join(dir, 'ready')
    await writeFile(path, '')
    const file = createReadyFile(path)
    expect(existsSync(path)).toBe(false)
    file.set(true)
    expect(existsSync(path)).toBe(true)
    file.set(false)
    file.set(false)
    expect(existsSync(path)).toBe(false)
  } finally {
    await rm(dir, { recursive: true })
  }
})
