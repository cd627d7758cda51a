import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidInput } from '../../core/errors.ts'
import { type AgentIdentity, agentOf } from '../../core/records/agent-user.ts'
import { IDENTITY_FILES } from '../../core/records/identity-files.ts'

/** An agent's own keys and certificate, and the keys that it trusts. Enrolment writes them. */
export interface Identity {
  /** The agent that the certificate names; undefined: it is no agent's. */
  agent: AgentIdentity | undefined
  /** The validity of the certificate, Unix ms. */
  validFrom: number
  validTo: number
  /** etcd and the ingest demand this certificate. */
  tls: { ca: string; cert: string; key: string }
  /** Ed25519. The agent ignores entries and requests that are not signed with it. */
  operatorKey: KeyObject
  /** X25519, the newest first. They open Secrets that are sealed for the pool. */
  poolKeys: readonly KeyObject[]
}

/** Throws InvalidInput that names a missing file. */
export async function readIdentity(dir: string): Promise<Identity> {
  const read = async (name: string): Promise<string> => {
    try {
      return await readFile(join(dir, name), 'utf8')
    } catch (error) {
      throw new InvalidInput(
        '--identity',
        `${dir} has no readable ${name}; enrol the agent, or name the directory that enrolment filled`,
        { cause: error },
      )
    }
  }
  const [ca, cert, key, operatorKey, poolKey] = await Promise.all(
    [
      IDENTITY_FILES.ca,
      IDENTITY_FILES.cert,
      IDENTITY_FILES.key,
      IDENTITY_FILES.operatorKey,
      IDENTITY_FILES.poolKey,
    ].map(read),
  )
  const certificate = certificateIn(dir, cert ?? '')
  return {
    agent: agentOf(/^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? ''),
    validFrom: certificate.validFromDate.getTime(),
    validTo: certificate.validToDate.getTime(),
    tls: { ca: ca ?? '', cert: cert ?? '', key: key ?? '' },
    operatorKey: createPublicKey(operatorKey ?? ''),
    poolKeys: poolKeysIn(poolKey ?? ''),
  }
}

function certificateIn(dir: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (error) {
    throw new InvalidInput(
      '--identity',
      `${join(dir, IDENTITY_FILES.cert)} is no certificate; enrol the agent`,
      {
        cause: error,
      },
    )
  }
}

const PRIVATE_KEY = /-----BEGIN PRIVATE KEY-----[\s\S]+?-----END PRIVATE KEY-----/g

function poolKeysIn(pem: string): KeyObject[] {
  return (pem.match(PRIVATE_KEY) ?? []).map(each => createPrivateKey(each))
}
