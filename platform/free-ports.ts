import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { messageOf } from './errors.ts'

/** Below the kernel's ephemeral ports, so that no outgoing connection takes a port between the check and the program's start. */
const LOWEST = 20_000
const HIGHEST = 32_000
const TRIES = 200

/** `count` distinct ports of 127.0.0.1 that nothing listens on. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>()
  for (let tries = 0; found.size < count; tries++) {
    if (tries > TRIES + count)
      throw new Error(
        `found no ${count} free ports of 127.0.0.1 between ${LOWEST} and ${HIGHEST}: stop programs that listen there`,
      )
    const port = randomInt(LOWEST, HIGHEST)
    if (await isFree(port)) found.add(port)
  }
  return [...found]
}

/**
 * Starts something on free ports, and tries others if another process took one first.
 * If `start` throws, it must have stopped what it started.
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

/** Whether nothing listens on this port of 127.0.0.1. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise(resolve => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
