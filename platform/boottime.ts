import { readFileSync } from 'node:fs'
import { hostname, uptime } from 'node:os'

/**
 * CLOCK_BOOTTIME in ms: never stepped, and goes on while the machine is suspended. To 10 ms, rounded down.
 * Where /proc/uptime is faked (LXCFS) its origin is the container's start, not the machine's.
 */
export function boottimeMs(): number {
  return uptime() * 1000
}

/** Another boot has another id. Where the kernel has none (not Linux) it is made of the host's name and the time of boot. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return `${hostname()}-${Math.round((Date.now() - boottimeMs()) / 60_000)}`
  }
}
