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

/** The operator's keys. They are created at its first start and never change. */
export interface Identity {
  /** Ed25519. Agents pin it at enrolment. */
  publicKey: KeyObject
  sign(text: string): string
  pool(name: string): Promise<PoolKey>
  /** A keyed digest: equal for equal texts, and without the key it reveals nothing about them. */
  digest(text: string): string
}

/** X25519. Only the pool's agents can open what is sealed with it. */
export interface PoolKey {
  /** PEM (SPKI), as it is in `pools/`. */
  publicPem: string
  /** PEM (PKCS 8), as enrolment gives it to the pool's agents. */
  privatePem: string
  seal(text: string, context: string): string
}

const SIGNING_KEY = 'operator.key'

export async function openIdentity(store: KeyStore): Promise<Identity> {
  const pem = await keyIn(store, SIGNING_KEY, () => generateKeyPairSync('ed25519').privateKey)
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

/** A public key as PEM. */
export function pemOf(publicKey: KeyObject): string {
  return publicKey.export({ type: 'spki', format: 'pem' }).toString()
}

/** Reads a key from the store, or creates it. Two processes that create it at once both get the one that was stored. */
async function keyIn(store: KeyStore, name: string, make: () => KeyObject): Promise<string> {
  const stored = await store.read(name)
  if (stored !== undefined) return stored
  return store.keep(name, make().export({ type: 'pkcs8', format: 'pem' }).toString())
}
