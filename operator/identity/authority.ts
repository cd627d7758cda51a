import { createCa, issue, type KeyPair } from '../../platform/certificates.ts'
import type { KeyStore } from './keystore.ts'

/** The certificate authority of etcd, its clients, and the ingest. */
export interface Authority {
  /** PEM. */
  caCert: string
  /** The authority's own key pair, which signs certificates. */
  pair: KeyPair
  /** Issues a certificate for a client of etcd. Its name is the client's etcd user. */
  client(name: string, hours: number): Promise<KeyPair>
  /** Issues a certificate for a server with these names and addresses. It also works for a client, as etcd members are clients of each other. */
  server(names: string[], hours: number): Promise<KeyPair>
}

/** The operator's user in etcd. */
export const OPERATOR_USER = 'shellcron-operator'
/** The user of the job that saves snapshots of etcd. */
export const BACKUP_USER = 'shellcron-backup'

const NAME = 'ca.pem'
const DAYS = 3_650
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----\n?/

/** Key and certificate are stored as one text, so that they always match. */
export async function openAuthority(store: KeyStore): Promise<Authority> {
  const pem = (await store.read(NAME)) ?? (await store.keep(NAME, await createAuthority()))
  const [cert = ''] = CERTIFICATE.exec(pem) ?? []
  const pair = { cert, key: pem.replace(CERTIFICATE, '') }
  return {
    caCert: cert,
    pair,
    client: (commonName, hours) => issue(pair, { commonName, usage: 'client', hours }),
    server: (names, hours) => issue(pair, { commonName: names[0] ?? 'etcd', names, usage: 'both', hours }),
  }
}

async function createAuthority(): Promise<string> {
  const { cert, key } = await createCa({ commonName: 'ShellCron', days: DAYS })
  return `${key.trimEnd()}\n${cert}`
}
