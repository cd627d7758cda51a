import { hostname } from 'node:os'
import * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import type { OperatorConfig } from './config.ts'

/** The settings of the addresses that the operator listens on. */

export const address = z
  .string()
  .regex(/^(\[?[^\s]*\]?:)?\d{1,5}$/, 'must be a port, or an address like 0.0.0.0:8081')

export const listenAddress = z.union([address, z.string().regex(/^unix:./)], {
  error: 'must be a port, an address like 0.0.0.0:9443, or a socket like unix:/run/shellcron/ingest.sock',
})

const UNIX = 'unix:'

/** Without `host`, all addresses. `port` 0: any free port. */
export interface Address {
  host?: string
  port: number
}

/** Where the TLS server listens. A Unix socket is for agents of the same user on this machine. */
export type Listen = Address | { path: string }

type Env = Record<string, string | undefined>

export function listenOf(
  { listen, listenNames }: { listen: string[]; listenNames: string[] },
  env: Env,
): Pick<OperatorConfig, 'listen'> {
  if (listen.length === 0) return {}
  const on = listen.map(each =>
    each.startsWith(UNIX) ? { path: each.slice(UNIX.length) } : addressOf('--listen', each),
  )
  const own = ['localhost', '127.0.0.1', '::1', hostname().toLowerCase()]
  const service = env.POD_NAMESPACE === undefined ? [] : serviceNames(env.POD_NAMESPACE)
  const given = on.flatMap(each => ('host' in each && each.host !== undefined ? [each.host] : []))
  return { listen: { on, names: [...new Set([...own, ...service, ...given, ...listenNames])] } }
}

export function endpointOf(
  { service, listen }: { service?: string | undefined; listen: string[] },
  env: Env,
): Pick<OperatorConfig, 'endpoint'> {
  if (service === undefined) return {}
  const tcp = listen.find(each => !each.startsWith(UNIX))
  const port = tcp === undefined ? 0 : addressOf('--listen', tcp).port
  if (port === 0) throw new InvalidInput('--service', 'needs --listen with an address and a port')
  if (env.POD_IP === undefined)
    throw new InvalidInput('--service', "needs the pod's address in the variable POD_IP (status.podIP)")
  return { endpoint: { service, ip: env.POD_IP, port } }
}

/** The names of the operator's Service in the cluster's DNS. */
function serviceNames(namespace: string): string[] {
  const name = `shellcron-operator.${namespace}`
  return [name, `${name}.svc`, `${name}.svc.cluster.local`]
}

export function addressOf(flag: string, text: string): Address {
  const colon = text.lastIndexOf(':')
  const port = Number(text.slice(colon + 1))
  if (port > 65_535) throw new InvalidInput(flag, `${port} is not a port; use 0 to 65535`)
  const host = colon > 0 ? text.slice(0, colon).replace(/^\[(.*)\]$/, '$1') : ''
  return host === '' ? { port } : { host, port }
}
