import { generateKeyPairSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { createCa, issue, type KeyPair } from '../../platform/certificates.ts'

/** The certificates and keys of a control plane, as files in its directory. */
export interface Credentials {
  ca: KeyPair
  caFile: string
  caKeyFile: string
  serverCertFile: string
  serverKeyFile: string
  /** The key that signs tokens of service accounts. */
  tokenKeyFile: string
  tokenPublicFile: string
  /** Writes a client certificate and its key to `PATH.crt` and `PATH.key`. */
  client(
    path: string,
    caller: { user: string; groups: string[] },
  ): Promise<{ certFile: string; keyFile: string }>
}

/** `names`: further names and addresses of the API server. */
export async function createCredentials(dir: string, names: string[] = []): Promise<Credentials> {
  const file = async (name: string, text: string) => {
    await writeFile(join(dir, name), text, { mode: 0o600 })
    return join(dir, name)
  }
  const ca = await createCa({ commonName: 'kubernetes', days: 2 })
  const server = await issue(ca, {
    commonName: 'kube-apiserver',
    names: [
      'localhost',
      '127.0.0.1',
      '10.0.0.1',
      'kubernetes',
      'kubernetes.default',
      'kubernetes.default.svc',
      ...names,
    ],
    usage: 'server',
    hours: 24,
  })
  const token = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = { format: 'pem' } as const
  return {
    ca,
    caFile: await file('ca.crt', ca.cert),
    caKeyFile: await file('ca.key', ca.key),
    serverCertFile: await file('server.crt', server.cert),
    serverKeyFile: await file('server.key', server.key),
    tokenKeyFile: await file('token.key', token.privateKey.export({ ...pem, type: 'sec1' }).toString()),
    async client(path, { user, groups }) {
      const { cert, key } = await issueClient(ca, user, groups)
      await writeFile(`${path}.crt`, cert)
      await writeFile(`${path}.key`, key, { mode: 0o600 })
      return { certFile: `${path}.crt`, keyFile: `${path}.key` }
    },
    tokenPublicFile: await file('token.pub', token.publicKey.export({ ...pem, type: 'spki' }).toString()),
  }
}

const issueClient = (ca: KeyPair, user: string, groups: string[]) =>
  issue(ca, { commonName: user, organizations: groups, usage: 'client', hours: 24 })

/** The identity of a client: a certificate or a token. */
export type Caller = { user: string; groups: string[] } | { token: string }

/** Writes a kubeconfig that needs no other file. */
export async function writeKubeconfig(
  path: string,
  of: { server: string; ca: KeyPair; caller: Caller },
): Promise<string> {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const user = async () => {
    if ('token' in of.caller) return { token: of.caller.token }
    const { user, groups } = of.caller
    const client = await issueClient(of.ca, user, groups)
    return { 'client-certificate-data': base64(client.cert), 'client-key-data': base64(client.key) }
  }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'test', cluster: { server: of.server, 'certificate-authority-data': base64(of.ca.cert) } },
    ],
    users: [{ name: 'test', user: await user() }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  }
  await writeFile(path, stringify(config), { mode: 0o600 })
  return path
}
