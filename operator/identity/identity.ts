import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'
import { seal } from '../../platform/sealing.ts'
import { signText } from '../../platform/signing.ts'
import type { KeyStore } from './keystore.ts'

/** The operator's keys: made at its first start, the same ever after. */
export interface Identity {
  /** Ed25519: agents pin it at enrolment. */
  publicKey: KeyObject
  sign(text: string): string
  pool(name: string): Promise<PoolKey>
  /** Equal for equal texts, and tells nobody else anything of them. */
  digest(text: string): string
}

/** X25519: what is sealed with it only the pool's agents open. */
export interface PoolKey {
  /** PEM (SPKI), as `pools/` tells it. */
  publicPem: string
  /** PEM (PKCS 8), as enrolment hands it to agents of the pool. */
  privatePem: string
  seal(text: string, context: string): string
}

const SIGNING = 'operator.key'

export async function openIdentity(store: KeyStore): Promise<Identity> {
  const pem = await keyIn(store, SIGNING, () => generateKeyPairSync('ed25519').privateKey)
  const privateKey = createPrivateKey(pem)
  const publicKey = createPublicKey(privateKey)
  const secret = Buffer.from(hkdfSync('sha256', Buffer.from(pem), '', 'shellcron digest 1', 32))
  const pools = new Map<string, Promise<PoolKey>>()
  return {
    publicKey,
    sign: text => signText(text, privateKey),
    pool(name) {
      const known = pools.get(name)
      if (known) return known
      const opened = openPool(store, name)
      pools.set(name, opened)
      opened.catch(() => pools.delete(name))
      return opened
    },
    digest: text => createHmac('sha256', secret).update(text).digest('base64'),
  }
}

async function openPool(store: KeyStore, name: string): Promise<PoolKey> {
  const privatePem = await keyIn(store, `pool-${name}.key`, () => generateKeyPairSync('x25519').privateKey)
  const publicKey = createPublicKey(privatePem)
  return {
    privatePem,
    publicPem: pemOf(publicKey),
    seal: (text, context) => seal(text, publicKey, context),
  }
}

/** PEM of a public key. */
export function pemOf(publicKey: KeyObject): string {
  return publicKey.export({ type: 'spki', format: 'pem' }).toString()
}

/** A key of the store, made if there is none. Two that make it at once both get the one that was kept. */
async function keyIn(store: KeyStore, name: string, make: () => KeyObject): Promise<string> {
  const there = await store.read(name)
  if (there !== undefined) return there
  return store.keep(name, make().export({ type: 'pkcs8', format: 'pem' }).toString())
}
