import { chmodSync, closeSync, existsSync, openSync } from 'node:fs'

/**
 * The file is its owner's alone, and made if it is missing: what commands said is in there. SQLite gives the files that it puts beside it
 * the same rights; those of an earlier life may have others.
 */
export function makeOwnerOnly(path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o600))
    for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) chmodSync(file, 0o600)
  } catch {
    // SQLite finds the same, and says what it is.
  }
}
