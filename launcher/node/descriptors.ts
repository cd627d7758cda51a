import { closeSync, readdirSync, readFileSync } from 'node:fs'

/** From <fcntl.h>, as /proc/…/fdinfo shows it, in octal. */
const O_CLOEXEC = 0o2000000

/**
 * Closes what whoever started us left open: every command would inherit it. Our own descriptors close themselves at exec, the
 * three standard ones are replaced. Without /proc nothing is closed.
 */
export function closeInherited() {
  for (const fd of openDescriptors().filter(fd => fd > 2 && isInheritable(fd))) {
    try {
      closeSync(fd)
    } catch {
      // It was the one that listed the directory.
    }
  }
}

function openDescriptors(): number[] {
  try {
    return readdirSync('/proc/self/fd').map(Number)
  } catch {
    return []
  }
}

function isInheritable(fd: number): boolean {
  try {
    const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1]
    return flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0
  } catch {
    return false
  }
}
