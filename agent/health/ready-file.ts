import { rmSync, writeFileSync } from 'node:fs'

/**
 * A file that exists while this agent takes part in its pool, for a readiness probe: the agent listens on nothing. Synchronous, so that the
 * changes keep their order; to be put on a file system in memory.
 */
export interface ReadyFile {
  set(isReady: boolean): void
}

/** Removes the file that an earlier process left. Throws if that fails. */
export function createReadyFile(path: string): ReadyFile {
  const set = (isReady: boolean) => {
    if (isReady) writeFileSync(path, 'ready\n')
    else rmSync(path, { force: true })
  }
  set(false)
  return { set }
}
