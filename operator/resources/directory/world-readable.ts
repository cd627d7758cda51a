import { realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

const READ_BY_OTHERS = 0o004
const ENTER_BY_OTHERS = 0o001

/** Whether every user of this machine can read the file, by its own mode and those of all its parent folders. */
export async function isWorldReadable(path: string): Promise<boolean> {
  try {
    let at = await realpath(path)
    if (((await stat(at)).mode & READ_BY_OTHERS) === 0) return false
    while (at !== dirname(at)) {
      at = dirname(at)
      if (((await stat(at)).mode & ENTER_BY_OTHERS) === 0) return false
    }
    return true
  } catch {
    // The file is gone: other code reports that.
    return false
  }
}
