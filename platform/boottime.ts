import { uptime } from 'node:os'

/**
 * CLOCK_BOOTTIME in ms, rounded down to 10 ms. It is never stepped, and continues while the machine is suspended.
 * Where /proc/uptime is virtualized (LXCFS), it counts from the container's start, not the machine's.
 */
export function boottimeMs(): number {
  return uptime() * 1000
}
