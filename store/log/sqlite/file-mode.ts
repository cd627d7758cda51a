import { chmodSync, closeSync, existsSync, openSync } from 'node:fs'

/**
 * Creates the file if it is missing, and makes it readable by its owner alone: it holds the output of commands. SQLite gives new files beside
 * it the same mode; files of an earlier start may have another.
 */
export function makeOwnerOnly(path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o600))
    for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) chmodSync(file, 0o600)
  } catch {
    // SQLite fails for the same reason next, and reports it.
  }
}
