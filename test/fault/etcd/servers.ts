import { join } from 'node:path'
import { type Child, startChild } from '../../../platform/child-process.ts'
import { freePorts } from '../../../platform/free-ports.ts'
import { etcdPrograms } from '../../servers/binaries.ts'
import { temporaryDirectory } from '../../servers/directory.ts'

export interface Member {
  name: string
  host: string
  port: number
  endpoint: string
  start(): void
  /** Freezes the process: its sockets stay open, and nothing answers. */
  freeze(): void
  thaw(): void
  kill(): Promise<void>
}

export interface Cluster {
  members: Member[]
  endpoints: string[]
  stop(): Promise<void>
}

/** Real etcd members. Clients speak http unless `flags` set certificates, so that a proxy can read the traffic. */
export async function startCluster(size: number, flags: string[] = []): Promise<Cluster> {
  const binary = join(await etcdPrograms(), 'etcd')
  const { path: dir, remove } = await temporaryDirectory('shellcron-etcd-')
  const ports = await freePorts(size * 2)
  const peers = Array.from({ length: size }, (_, i) => `m${i}=http://127.0.0.1:${ports[i * 2 + 1]}`).join(',')
  const members = Array.from({ length: size }, (_, i) =>
    member({
      binary,
      dir,
      name: `m${i}`,
      port: ports[i * 2] ?? 0,
      peer: ports[i * 2 + 1] ?? 0,
      peers,
      flags,
    }),
  )
  for (const one of members) one.start()
  return {
    members,
    endpoints: members.map(one => one.endpoint),
    stop: async () => {
      await Promise.all(members.map(one => one.kill()))
      await remove()
    },
  }
}

function member(of: {
  binary: string
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
  let child: Promise<Child> | undefined
  const signal = async (name: NodeJS.Signals) => (await child)?.signal(name)
  return {
    name: of.name,
    host: '127.0.0.1',
    port: of.port,
    endpoint: client,
    start: () => {
      child = startChild({
        command: of.binary,
        args: [
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
      })
    },
    freeze: () => void signal('SIGSTOP'),
    thaw: () => void signal('SIGCONT'),
    kill: async () => {
      await signal('SIGKILL')
      await (await child)?.ended
    },
  }
}
