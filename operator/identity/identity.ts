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

/** The operator's keys. They are created at its first start. Only pools' keys change. */
export interface Identity {
  /** Ed25519. Agents pin it at enrolment. */
  publicKey: KeyObject
  sign(text: string): string
  pool(name: string): Promise<PoolKey>
  /** Replaces the pool's key. What was sealed with the old one must be sealed anew. */
  rotatePool(name: string): Promise<void>
  /** Pools' keys are read again: another operator may have replaced them. */
  reloadPools(): void
  /** A keyed digest: equal for equal texts, and without the key it reveals nothing about them. */
  digest(text: string): string
}

/** X25519. Only the pool's agents can open what is sealed with it. */
export interface PoolKey {
  /** PEM (SPKI), as it is in `pools/`. */
  publicPem: string
  /** PEM (PKCS 8), as enrolment gives it to the pool's agents. The first is in use; the others open what was sealed before. */
  privatePem: string
  seal(text: string, context: string): string
}

const SIGNING_KEY = 'operator.key'
/** How many older keys of a pool are kept: ShellRuns that wait are not sealed anew. */
const PREVIOUS_KEYS = 4

export async function openIdentity(store: KeyStore): Promise<Identity> {
  const pem = await keyIn(store, SIGNING_KEY, () => pemOfPrivate(generateKeyPairSync('ed25519').privateKey))
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
    async rotatePool(name) {
      const before = (await store.read(poolKeyName(name))) ?? ''
      const kept = keysIn(before).slice(0, PREVIOUS_KEYS)
      await store.replace(poolKeyName(name), [newPoolKey(), ...kept].join(''))
      pools.delete(name)
    },
    reloadPools: () => pools.clear(),
    digest: text => createHmac('sha256', secret).update(text).digest('base64'),
  }
}

async function openPool(store: KeyStore, name: string): Promise<PoolKey> {
  const privatePem = await keyIn(store, poolKeyName(name), newPoolKey)
  const publicKey = createPublicKey(privatePem)
  return {
    privatePem,
    publicPem: pemOf(publicKey),
    seal: (text, context) => seal(text, publicKey, context),
  }
}

/** The keys in a PEM text, each as PEM. */
function keysIn(pem: string): string[] {
  return pem.match(/-----BEGIN PRIVATE KEY-----[\s\S]+?-----END PRIVATE KEY-----\n?/g) ?? []
}

function poolKeyName(pool: string): string {
  return `pool-${pool}.key`
}

function newPoolKey(): string {
  return pemOfPrivate(generateKeyPairSync('x25519').privateKey)
}

function pemOfPrivate(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** A public key as PEM. */
export function pemOf(publicKey: KeyObject): string {
  return publicKey.export({ type: 'spki', format: 'pem' }).toString()
}

/** Reads a key from the store, or creates it. Two processes that create it at once both get the one that was stored. */
async function keyIn(store: KeyStore, name: string, make: () => string): Promise<string> {
  const stored = await store.read(name)
  if (stored !== undefined) return stored
  return store.keep(name, make())
}
