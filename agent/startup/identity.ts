import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidInput } from '../../core/errors.ts'
import { IDENTITY_FILES } from '../../core/records/identity-files.ts'

/** Who an agent is and whom it believes; filled by enrolment. */
export interface Identity {
  /** Demanded by etcd from the first day. */
  tls: { ca: string; cert: string; key: string }
  /** Ed25519: entries and requests that it did not sign are not obeyed. */
  operatorKey: KeyObject
  /** X25519: opens what was sealed for the pool. */
  poolKey: KeyObject
}

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
  return {
    tls: { ca: ca ?? '', cert: cert ?? '', key: key ?? '' },
    operatorKey: createPublicKey(operatorKey ?? ''),
    poolKey: createPrivateKey(poolKey ?? ''),
  }
}
