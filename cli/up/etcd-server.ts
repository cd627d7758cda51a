import { X509Certificate } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { type Child, startChild, untilReady } from '../../platform/child-process.ts'
import { onFreePorts } from '../../platform/free-ports.ts'

/** Paths of PEM files. The certificate is for servers and clients (usage `both`), with the names `localhost` and `127.0.0.1`. */
export interface TlsFiles {
  ca: string
  cert: string
  key: string
}

export interface Ports {
  client: number
  peer: number
}

export interface EtcdServerOptions {
  binary: string
  /** The data directory. Created if missing, private to its user. */
  dir: string
  /** On 127.0.0.1. Default: free ones. */
  ports?: Ports
  tls: TlsFiles
  /** Default: `shellcron`. */
  name?: string
  /** All members of the cluster by name, including this one. Default: this one alone. */
  members?: Record<string, Ports>
  /** Default: 2 GiB. */
  quotaBytes?: number
  /** One more address of this machine on which clients reach it. The certificate must name it. */
  address?: string
  /** Further flags for etcd. */
  flags?: string[]
  /** Gets each line that etcd logs; it logs errors only. */
  onLine?: (line: string) => void
  /** How long the start may take; default: 60 s. */
  withinMs?: number
  signal?: AbortSignal
}

export interface EtcdServer extends Child {
  /** With a host name: TLS clients must not send an address as server name (RFC 6066). */
  endpoint: string
  ports: Ports
}

const QUOTA = 2 * 1024 ** 3

/**
 * Starts one member and waits until it serves. The member cannot outlive this process. Clients and members must present a certificate
 * of the CA. A peer's certificate must also have our common name, so that no client can pose as a member. If the start fails, the
 * member is stopped, and ChildFailed with etcd's last lines is thrown.
 */
export async function startEtcdServer(options: EtcdServerOptions): Promise<EtcdServer> {
  const { ports } = options
  if (ports) return startOn({ ...options, ports })
  return onFreePorts(2, ([client = 0, peer = 0]) => startOn({ ...options, ports: { client, peer } }))
}

async function startOn(options: EtcdServerOptions & { ports: Ports }): Promise<EtcdServer> {
  const { ports, signal, withinMs } = options
  const child = await launchEtcd(options)
  try {
    await untilReady({ name: 'etcd', child }, isHealthy(options.tls, ports.client), {
      ...(withinMs ? { withinMs } : {}),
      ...(signal ? { signal } : {}),
    })
  } catch (error) {
    await child.stop(1000)
    throw error
  }
  return { ...child, endpoint: `https://localhost:${ports.client}`, ports }
}

/** Starts one member without waiting: a member of several is ready only when a majority runs. */
export async function launchEtcd(options: EtcdServerOptions & { ports: Ports }): Promise<Child> {
  await mkdir(options.dir, { recursive: true, mode: 0o700 })
  const { name = 'shellcron', onLine } = options
  return startChild({
    command: options.binary,
    args: await argsOf({ ...options, name }),
    name: `etcd ${name}`,
    ...(onLine ? { onLine } : {}),
  })
}

async function argsOf(options: EtcdServerOptions & { name: string; ports: Ports }): Promise<string[]> {
  const { name, ports, tls, members = { [name]: ports }, quotaBytes = QUOTA, flags = [], address } = options
  const cluster = Object.entries(members).map(([member, { peer }]) => `${member}=https://localhost:${peer}`)
  return [
    `--name=${name}`,
    `--data-dir=${options.dir}`,
    `--listen-client-urls=${['127.0.0.1', ...(address ? [address] : [])].map(each => `https://${bracketed(each)}:${ports.client}`).join(',')}`,
    `--advertise-client-urls=https://localhost:${ports.client}`,
    `--listen-peer-urls=https://127.0.0.1:${ports.peer}`,
    `--initial-advertise-peer-urls=https://localhost:${ports.peer}`,
    `--initial-cluster=${cluster.join(',')}`,
    '--client-cert-auth',
    `--trusted-ca-file=${tls.ca}`,
    `--cert-file=${tls.cert}`,
    `--key-file=${tls.key}`,
    '--peer-client-cert-auth',
    `--peer-trusted-ca-file=${tls.ca}`,
    `--peer-cert-file=${tls.cert}`,
    `--peer-key-file=${tls.key}`,
    `--peer-cert-allowed-cn=${commonNameOf(await readFile(tls.cert, 'utf8'))}`,
    '--auto-compaction-mode=periodic',
    '--auto-compaction-retention=5m',
    `--quota-backend-bytes=${quotaBytes}`,
    '--logger=zap',
    '--log-level=error',
    ...flags,
  ]
}

/** An IP address as it stands in a URL. */
export function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}

function commonNameOf(pem: string): string {
  const name = /^CN=(.*)$/m.exec(new X509Certificate(pem).subject)?.[1]
  if (!name) throw new Error("etcd's certificate has no common name")
  return name
}

/** Whether the member serves reads and writes. It reports healthy only while the cluster has a leader. */
function isHealthy(tls: TlsFiles, port: number): (signal: AbortSignal) => Promise<boolean> {
  return async signal => {
    const [ca, cert, key] = await Promise.all([tls.ca, tls.cert, tls.key].map(path => readFile(path, 'utf8')))
    const answer = await get({ port, path: '/health', ca, cert, key, signal })
    return answer.status === 200
  }
}

/** Sends a request to a local member's client port. */
export async function get(of: {
  port: number
  path: string
  ca: string | undefined
  cert: string | undefined
  key: string | undefined
  signal: AbortSignal
}): Promise<{ status: number; text: string }> {
  const { port, path, ca, cert, key, signal } = of
  return new Promise((resolve, reject) => {
    const call = request({ host: 'localhost', port, path, ca, cert, key, signal, agent: false }, response => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() })
      })
    })
    call.on('error', reject)
    call.end()
  })
}
