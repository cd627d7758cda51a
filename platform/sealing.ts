import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'

/**
 * Seals a text to an X25519 public key: an ephemeral key pair, HKDF-SHA-256, AES-256-GCM (the construction of ECIES and of HPKE's base
 * mode). `context` is authenticated: a value that was sealed for one object cannot be opened for another.
 * Format, in base64: version 1 (1 byte) ‖ ephemeral public key (32) ‖ nonce (12) ‖ tag (16) ‖ ciphertext.
 */
export function seal(text: string, publicKey: KeyObject, context: string): string {
  const ephemeral = generateKeyPairSync('x25519')
  const own = rawPublic(ephemeral.publicKey)
  const key = derive(diffieHellman({ privateKey: ephemeral.privateKey, publicKey }), own, context)
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context))
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([Buffer.of(1), own, nonce, cipher.getAuthTag(), sealed]).toString('base64')
}

/** The text, or undefined if it was not sealed to this key in this context. */
export function unseal(sealed: string, privateKey: KeyObject, context: string): string | undefined {
  const bytes = Buffer.from(sealed, 'base64')
  if (bytes.length < 61 || bytes[0] !== 1) return undefined
  const own = bytes.subarray(1, 33)
  try {
    const publicKey = createPublicKey({
      key: { kty: 'OKP', crv: 'X25519', x: own.toString('base64url') },
      format: 'jwk',
    })
    const key = derive(diffieHellman({ privateKey, publicKey }), own, context)
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(33, 45)).setAAD(Buffer.from(context))
    decipher.setAuthTag(bytes.subarray(45, 61))
    return Buffer.concat([decipher.update(bytes.subarray(61)), decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}

function rawPublic(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url')
}

function derive(shared: Buffer, salt: Buffer, context: string): Buffer {
  return Buffer.from(hkdfSync('sha256', shared, salt, `shellcron seal 1 ${context}`, 32))
}
