import { createCa, issue, type KeyPair } from '../../platform/certificates.ts'
import type { KeyStore } from './keystore.ts'

/** The certificate authority that etcd and everybody who speaks to it trusts. */
export interface Authority {
  /** PEM. */
  caCert: string
  /** The authority itself, to sign requests with. */
  pair: KeyPair
  /** For a client of etcd: its name is the user that etcd sees. */
  client(name: string, hours: number): Promise<KeyPair>
  /** For a server that is reached under these names and addresses; usable as a client too, as etcd members are each other's. */
  server(names: string[], hours: number): Promise<KeyPair>
}

/** The operator's own name in etcd. */
export const OPERATOR_USER = 'shellcron-operator'

const NAME = 'ca.pem'
const DAYS = 3_650
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----\n?/

/** Key and certificate lie in one piece, so that they always belong together. */
export async function openAuthority(store: KeyStore): Promise<Authority> {
  const there = (await store.read(NAME)) ?? (await store.keep(NAME, await made()))
  const [cert = ''] = CERTIFICATE.exec(there) ?? []
  const pair = { cert, key: there.replace(CERTIFICATE, '') }
  return {
    caCert: cert,
    pair,
    client: (commonName, hours) => issue(pair, { commonName, usage: 'client', hours }),
    server: (names, hours) => issue(pair, { commonName: names[0] ?? 'etcd', names, usage: 'both', hours }),
  }
}

async function made(): Promise<string> {
  const { cert, key } = await createCa({ commonName: 'ShellCron', days: DAYS })
  return `${key.trimEnd()}\n${cert}`
}
