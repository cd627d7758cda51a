import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Directory {
  path: string
  remove: () => Promise<void>
}

/** Its stdin ends with this process. Servers that die at the same time may still write, so it removes repeatedly. */
const REAPER = 'cat >/dev/null; for _ in 1 2 3 4 5; do rm -rf "$0"; sleep 1; [ -e "$0" ] || exit 0; done'

/** A temporary directory that is removed when this process ends, even by SIGKILL. */
export async function temporaryDirectory(prefix: string): Promise<Directory> {
  const path = await mkdtemp(join(tmpdir(), prefix))
  const reaper = spawn('/bin/sh', ['-c', REAPER, path], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  reaper.unref()
  return {
    path,
    remove: async () => {
      await rm(path, { recursive: true, force: true, maxRetries: 5 })
      reaper.kill('SIGKILL')
    },
  }
}
