import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

const RELAY = fileURLToPath(new URL('./relay.ts', import.meta.url))

export interface Forward {
  /** Of 127.0.0.1. */
  port: number
  /** Ends it and its connections. */
  close(): void
}

/**
 * Forwards a free port of 127.0.0.1 to an address in the network of the process `pid`. It ends with this process, and does not keep it alive.
 */
export async function forwardInto(pid: number, to: { host: string; port: number }): Promise<Forward> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const relay = spawn('/usr/bin/nsenter', ['--target', String(pid), '--net', '--', process.execPath, RELAY], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const close = () => void relay.kill('SIGKILL')
  try {
    relay.send(to, server)
    await acknowledged(relay)
  } catch (error) {
    close()
    throw error
  } finally {
    server.close()
  }
  relay.unref()
  relay.channel?.unref()
  ;(relay.stderr as unknown as { unref(): void }).unref()
  return { port, close }
}

async function acknowledged(relay: ChildProcess): Promise<void> {
  let errors = ''
  relay.stderr?.setEncoding('utf8').on('data', (text: string) => void (errors += text))
  await new Promise<void>((resolve, reject) => {
    relay.once('message', () => resolve())
    relay.once('error', reject)
    relay.once('exit', code => reject(new Error(`the relay ended with ${code}: ${errors}`)))
  })
}
