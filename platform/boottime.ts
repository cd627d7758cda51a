import { readFileSync } from 'node:fs'
import { hostname, uptime } from 'node:os'

/**
 * CLOCK_BOOTTIME in ms, rounded down to 10 ms. It is never stepped, and continues while the machine is suspended.
 * Where /proc/uptime is virtualized (LXCFS), it counts from the container's start, not the machine's.
 */
export function boottimeMs(): number {
  return uptime() * 1000
}

/** The id of this boot: each boot has another. Without the kernel's id (not Linux) it is the host name and the time of boot. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return `${hostname()}-${Math.round((Date.now() - boottimeMs()) / 60_000)}`
  }
}
