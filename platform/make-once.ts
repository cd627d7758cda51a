import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemClock } from './clock.ts'
import { flock } from './flock.ts'

const LOOK_EVERY_MS = 200

/**
 * Makes the files that are missing of `names` in `dir`, once for all processes of this machine: the others wait. `make` gets a temporary
 * directory beside `dir`, and its files are then renamed into `dir`: so no interruption leaves half a file.
 */
export async function makeOnce(of: {
  dir: string
  names: string[]
  make: (tmp: string, missing: string[]) => Promise<void>
  signal?: AbortSignal
}): Promise<void> {
  if ((await missingOf(of)).length === 0) return
  await mkdir(dirname(of.dir), { recursive: true })
  const lock = await waitForLock(`${of.dir}.lock`, of.signal)
  const tmp = await mkdtemp(`${of.dir}.`)
  try {
    const missing = await missingOf(of)
    if (missing.length === 0) return
    await of.make(tmp, missing)
    await mkdir(of.dir, { recursive: true })
    for (const name of missing) await rename(join(tmp, name), join(of.dir, name))
  } finally {
    await rm(tmp, { recursive: true, force: true })
    lock.release()
  }
}

async function missingOf(of: { dir: string; names: string[] }): Promise<string[]> {
  const there = await Promise.all(of.names.map(name => exists(join(of.dir, name))))
  return of.names.filter((_, i) => !there[i])
}

/** Without the program `flock`, two processes may make the same files at once. That wastes time but does no harm. */
async function waitForLock(path: string, signal?: AbortSignal): Promise<{ release(): void }> {
  for (;;) {
    const lock = await flock(path)
    if (lock.kind === 'locked') return lock
    if (lock.kind === 'unsupported') return { release: () => {} }
    await systemClock.sleep(LOOK_EVERY_MS, signal)
  }
}

/** Whether a file or directory exists at this path. */
export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
