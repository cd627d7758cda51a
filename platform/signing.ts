import { type KeyObject, sign as signBytes, verify as verifyBytes } from 'node:crypto'

/**
 * A text with an Ed25519 signature over exactly its bytes, as one JSON value. What is read back is the very text that was signed, so
 * neither the order of keys nor unknown fields matter.
 */
export function signText(text: string, privateKey: KeyObject): string {
  return JSON.stringify({
    signed: text,
    signature: signBytes(null, Buffer.from(text), privateKey).toString('base64'),
  })
}

/** The signed text, or undefined if the value is not one or the signature does not hold for this key. */
export function verifyText(value: string, publicKey: KeyObject): string | undefined {
  const envelope = openEnvelope(value)
  if (!envelope) return undefined
  const genuine = verifyBytes(
    null,
    Buffer.from(envelope.signed),
    publicKey,
    Buffer.from(envelope.signature, 'base64'),
  )
  return genuine ? envelope.signed : undefined
}

/** The text without any look at its signature: for who wrote it. */
export function signedText(value: string): string | undefined {
  return openEnvelope(value)?.signed
}

function openEnvelope(value: string): { signed: string; signature: string } | undefined {
  try {
    const { signed, signature } = JSON.parse(value) as Record<string, unknown>
    return typeof signed === 'string' && typeof signature === 'string' ? { signed, signature } : undefined
  } catch {
    return undefined
  }
}
