import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { get, launchEtcd, type Ports, type TlsFiles } from '../../cli/up/etcd-server.ts'
import { createCa, issue, type KeyPair } from '../../platform/certificates.ts'
import { type Child, untilReady } from '../../platform/child-process.ts'
import { deadline } from '../../platform/clock.ts'
import { onFreePorts } from '../../platform/free-ports.ts'
import { eventually } from '../fault/eventually.ts'
import { etcdPrograms } from './binaries.ts'
import { temporaryDirectory } from './directory.ts'

/** PEM texts. */
export interface Tls {
  ca: string
  cert: string
  key: string
}

export interface EtcdMember {
  readonly name: string
  readonly endpoint: string
  readonly ports: Ports
  /** Sends SIGKILL, and waits for its end. */
  kill(): Promise<void>
  /** Sends SIGTERM, and waits for its end. */
  stop(): Promise<void>
  /** Starts it again with the same data and ports. Waits until it is healthy, which needs a majority. */
  start(): Promise<void>
  /** Freezes the process: its sockets stay open, and nothing answers. */
  pause(): void
  resume(): void
  /** Whether it says that it leads; false if it does not answer. */
  isLeader(): Promise<boolean>
}

export interface EtcdCluster {
  endpoints: string[]
  /** A client certificate with the name `root`, which may do everything. */
  tls: Tls
  /** The same certificate, as files. */
  files: TlsFiles
  /** The authority, to issue certificates for further clients. */
  ca: KeyPair
  members: EtcdMember[]
  member(index: number): EtcdMember
  /** Waits for a leader. */
  leader(): Promise<EtcdMember>
  /** Stops all members and removes their data. */
  stop(): Promise<void>
}

export interface EtcdOptions {
  /** Default: 1. */
  members?: 1 | 3
  quotaBytes?: number
  /** Further flags of etcd. */
  flags?: string[]
}

/** A real etcd cluster with client certificates, in its own directory. It ends with this process at the latest. */
export async function startEtcd(options: EtcdOptions = {}): Promise<EtcdCluster> {
  const binary = join(await etcdPrograms(), 'etcd')
  const { path: dir, remove } = await temporaryDirectory('shellcron-etcd-')
  try {
    const certificates = await certificatesIn(dir)
    const count = options.members ?? 1
    const members = await onFreePorts(count * 2, ports =>
      startMembers({ ...options, binary, dir, certificates, ports: pairs(ports) }),
    )
    return clusterOf(members, certificates, remove)
  } catch (error) {
    await remove()
    throw error
  }
}

interface Certificates {
  ca: KeyPair
  server: TlsFiles
  client: TlsFiles
  tls: Tls
}

function clusterOf(
  members: EtcdMember[],
  { ca, tls, client }: Certificates,
  remove: () => Promise<void>,
): EtcdCluster {
  const member = (index: number) => {
    const found = members[index]
    if (!found) throw new Error(`the etcd cluster has no member ${index}`)
    return found
  }
  return {
    endpoints: members.map(one => one.endpoint),
    tls,
    files: client,
    ca,
    members,
    member,
    leader: () =>
      eventually('a member of etcd leads', async () => {
        const leads = await Promise.all(members.map(one => one.isLeader()))
        return members[leads.indexOf(true)]
      }),
    stop: async () => {
      await Promise.all(members.map(one => one.kill()))
      await remove()
    },
  }
}

async function certificatesIn(dir: string): Promise<Certificates> {
  const ca = await createCa({ commonName: 'etcd', days: 2 })
  const names = ['localhost', '127.0.0.1']
  const [server, root] = await Promise.all([
    issue(ca, { commonName: 'etcd-member', names, usage: 'both', hours: 24 }),
    issue(ca, { commonName: 'root', usage: 'client', hours: 24 }),
  ])
  const file = async (name: string, text: string) => {
    await writeFile(join(dir, name), text, { mode: 0o600 })
    return join(dir, name)
  }
  const caFile = await file('ca.crt', ca.cert)
  const files = async (name: string, pair: KeyPair): Promise<TlsFiles> => ({
    ca: caFile,
    cert: await file(`${name}.crt`, pair.cert),
    key: await file(`${name}.key`, pair.key),
  })
  return {
    ca,
    server: await files('server', server),
    client: await files('root', root),
    tls: { ca: ca.cert, ...root },
  }
}

interface Start extends EtcdOptions {
  binary: string
  dir: string
  certificates: Certificates
  ports: Ports[]
}

async function startMembers(of: Start): Promise<EtcdMember[]> {
  const members = of.ports.map((_, index) => memberOf(of, index))
  try {
    await Promise.all(members.map(one => one.start()))
  } catch (error) {
    await Promise.all(members.map(one => one.kill()))
    await Promise.all(members.map(one => rm(join(of.dir, one.name), { recursive: true, force: true })))
    throw error
  }
  return members
}

function memberOf(of: Start, index: number): EtcdMember {
  const name = `m${index}`
  const ports = of.ports[index] ?? { client: 0, peer: 0 }
  const { tls } = of.certificates
  let child: Child | undefined
  const call = async (path: string, withinMs: number) => {
    const limit = deadline(withinMs)
    try {
      return await get({ ...tls, port: ports.client, path, signal: limit.signal })
    } finally {
      limit.done()
    }
  }
  return {
    name,
    ports,
    endpoint: `https://localhost:${ports.client}`,
    async start() {
      child = await launchEtcd({
        binary: of.binary,
        name,
        ports,
        dir: join(of.dir, name),
        tls: of.certificates.server,
        members: Object.fromEntries(of.ports.map((pair, i) => [`m${i}`, pair])),
        ...(of.quotaBytes ? { quotaBytes: of.quotaBytes } : {}),
        ...(of.flags ? { flags: of.flags } : {}),
      })
      await untilReady(
        { name: `etcd ${name}`, child },
        async () => (await call('/health', 5000)).status === 200,
      )
    },
    async kill() {
      child?.signal('SIGKILL')
      await child?.ended
    },
    async stop() {
      await child?.stop()
    },
    pause: () => child?.signal('SIGSTOP'),
    resume: () => child?.signal('SIGCONT'),
    isLeader: () =>
      call('/metrics', 2000).then(
        ({ text }) => /^etcd_server_is_leader 1$/m.test(text),
        () => false,
      ),
  }
}

function pairs(ports: number[]): Ports[] {
  return ports.flatMap((client, i) => (i % 2 === 0 ? [{ client, peer: ports[i + 1] ?? 0 }] : []))
}
