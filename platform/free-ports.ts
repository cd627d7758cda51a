import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { messageOf } from './errors.ts'

/** Below what kernels give to outgoing connections, so that none takes a port between our look and the program's start. */
const LOWEST = 20_000
const HIGHEST = 32_000
const TRIES = 200

/** So many different ports that nobody listens on now, at 127.0.0.1. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>()
  for (let tries = 0; found.size < count; tries++) {
    if (tries > TRIES + count) throw new Error(`no ${count} free ports between ${LOWEST} and ${HIGHEST}`)
    const port = randomInt(LOWEST, HIGHEST)
    if (await isFree(port)) found.add(port)
  }
  return [...found]
}

/**
 * Starts something on free ports; with others if it fails because one was taken in between.
 * `start` must have ended what it started when it throws.
 */
export async function onFreePorts<T>(count: number, start: (ports: number[]) => Promise<T>): Promise<T> {
  for (let left = 4; ; left--) {
    try {
      return await start(await freePorts(count))
    } catch (error) {
      if (left === 0 || !/address already in use|EADDRINUSE/i.test(messageOf(error))) throw error
    }
  }
}

/** Whether nobody listens on this port of 127.0.0.1 now. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise(resolve => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
