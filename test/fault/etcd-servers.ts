import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Member {
  name: string
  host: string
  port: number
  endpoint: string
  start(): void
  /** Freezes the process: its sockets stay open and say nothing. */
  freeze(): void
  thaw(): void
  kill(): Promise<void>
}

export interface Cluster {
  members: Member[]
  endpoints: string[]
  stop(): Promise<void>
}

const binary = join(homedir(), '.cache/shellcron/etcd-v3.6.16/etcd')

/** Real etcd members. Clients speak http unless `flags` give them certificates: so a proxy can read what passes. */
export async function startCluster(size: number, flags: string[] = []): Promise<Cluster> {
  const dir = await mkdtemp(join(tmpdir(), 'shellcron-etcd-'))
  const ports = await freePorts(size * 2)
  const peers = Array.from({ length: size }, (_, i) => `m${i}=http://127.0.0.1:${ports[i * 2 + 1]}`).join(',')
  const members = Array.from({ length: size }, (_, i) =>
    member({ dir, name: `m${i}`, port: ports[i * 2] ?? 0, peer: ports[i * 2 + 1] ?? 0, peers, flags }),
  )
  for (const one of members) one.start()
  return {
    members,
    endpoints: members.map(one => one.endpoint),
    stop: async () => {
      await Promise.all(members.map(one => one.kill()))
      await rm(dir, { recursive: true, force: true })
    },
  }
}

function member(of: {
  dir: string
  name: string
  port: number
  peer: number
  peers: string
  flags: string[]
}): Member {
  const scheme = of.flags.some(flag => flag.startsWith('--cert-file')) ? 'https' : 'http'
  const client = `${scheme}://127.0.0.1:${of.port}`
  const peer = `http://127.0.0.1:${of.peer}`
  let child: ChildProcess | undefined
  return {
    name: of.name,
    host: '127.0.0.1',
    port: of.port,
    endpoint: client,
    start: () => {
      child = spawn(
        binary,
        [
          `--name=${of.name}`,
          `--data-dir=${join(of.dir, of.name)}`,
          '--log-level=error',
          `--listen-client-urls=${client}`,
          `--advertise-client-urls=${client}`,
          `--listen-peer-urls=${peer}`,
          `--initial-advertise-peer-urls=${peer}`,
          `--initial-cluster=${of.peers}`,
          ...of.flags,
        ],
        { stdio: 'ignore' },
      )
    },
    freeze: () => child?.kill('SIGSTOP'),
    thaw: () => child?.kill('SIGCONT'),
    kill: async () => {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const ended = new Promise(resolve => child?.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
    },
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  return await Promise.all(
    servers.map(async server => {
      const address = server.address()
      await new Promise(resolve => server.close(resolve))
      return typeof address === 'object' && address ? address.port : 0
    }),
  )
}
