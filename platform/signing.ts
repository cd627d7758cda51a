import { type KeyObject, sign as signBytes, verify as verifyBytes } from 'node:crypto'

/**
 * Signs the exact bytes of a text with Ed25519. Returns one JSON value with both. Verification returns the same text, so neither the order of
 * its keys nor unknown fields matter.
 */
export function signText(text: string, privateKey: KeyObject): string {
  return JSON.stringify({
    signed: text,
    signature: signBytes(null, Buffer.from(text), privateKey).toString('base64'),
  })
}

/** The signed text; undefined if the value is no signed text or the signature is invalid for this key. */
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

/** The text without a check of its signature: only for the process that wrote it. */
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
