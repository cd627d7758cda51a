import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { InvalidInput } from '../../core/errors.ts'
import { messageOf } from '../../platform/errors.ts'
import { bracketed } from './etcd-server.ts'

/** Where other servers reach this one. */
export interface ListenAddress {
  /** As given: a host name or an IP address. The certificates name it. */
  host: string
  /** The IP address that it has. */
  address: string
  /** Of the operator. */
  port: number
}

const OPERATOR_PORT = 9_443
/** etcd's usual one. A free port would be another one after each start, which servers that have joined do not know. */
export const ETCD_PORT = 2_379

/** Reads HOST or HOST:PORT. Throws InvalidInput if this machine does not know the host. */
export async function listenAddress(text: string): Promise<ListenAddress> {
  const [, inBrackets, plain, portText] =
    /^(?:\[([^\]]+)\]|([^:]+|[^:]*:[^:]*:.*))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = inBrackets ?? plain ?? ''
  const port = Number(portText ?? OPERATOR_PORT)
  if (host === '' || port < 1 || port > 65_535)
    throw new InvalidInput('--listen', `"${text}" is not like 10.0.0.5 or server-1.example:9443`)
  if (['0.0.0.0', '::', '*'].includes(host))
    throw new InvalidInput(
      '--listen',
      'name the address by which other servers reach this one, such as 10.0.0.5',
    )
  if (isIP(host)) return { host, address: host, port }
  try {
    const { address } = await lookup(host)
    return { host, address, port }
  } catch (error) {
    throw new InvalidInput('--listen', `this machine cannot find "${host}": ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** `https://HOST:PORT`. */
export function urlOf({ host }: ListenAddress, port: number): string {
  return `https://${bracketed(host)}:${port}`
}
