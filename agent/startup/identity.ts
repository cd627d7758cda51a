import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidInput } from '../../core/errors.ts'
import { IDENTITY_FILES } from '../../core/records/identity-files.ts'
import { distrustOfFile, type Trust } from '../../platform/trust.ts'

/** An agent's own keys and certificate, and the keys that it trusts. Enrolment writes them. */
export interface Identity {
  /** etcd and the ingest demand this certificate. */
  tls: { ca: string; cert: string; key: string }
  /** Ed25519. The agent ignores entries and requests that are not signed with it. */
  operatorKey: KeyObject
  /** X25519. Opens Secrets that are sealed for the pool. */
  poolKey: KeyObject
}

const PRIVATE: readonly string[] = [IDENTITY_FILES.key, IDENTITY_FILES.poolKey]

/** Throws InvalidInput that names a file that is missing, that others can change, or that others can read although it is a private key. */
export async function readIdentity(dir: string, trust: Trust): Promise<Identity> {
  const read = async (name: string): Promise<string> => {
    const why = await distrustOfFile(join(dir, name), { trust, isSecret: PRIVATE.includes(name) })
    if (why !== undefined) throw new InvalidInput('--identity', why)
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
  return {
    tls: { ca: ca ?? '', cert: cert ?? '', key: key ?? '' },
    operatorKey: createPublicKey(operatorKey ?? ''),
    poolKey: createPrivateKey(poolKey ?? ''),
  }
}
