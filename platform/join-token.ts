import { createHash, randomBytes } from 'node:crypto'

/** The text that lets one agent enrol once. It is never stored: the operator keeps the hash of its secret. */
export interface JoinToken {
  agent: string
  /** Random, base64url. */
  secret: string
  /** SHA-256 of the authority's certificate (DER), in hexadecimal: with it a machine trusts the operator before it sends the secret. */
  ca: string
}

const PREFIX = 'sc1.'

/** `ca`: the authority's certificate, DER. */
export function newJoinToken(agent: string, ca: Uint8Array): JoinToken {
  return { agent, secret: randomBytes(24).toString('base64url'), ca: sha256(ca) }
}

/** One word of letters, digits, dots, dashes and underscores, so that no shell changes it. */
export function joinTokenText({ agent, secret, ca }: JoinToken): string {
  return PREFIX + Buffer.from(JSON.stringify({ agent, secret, ca })).toString('base64url')
}

/** undefined: it is none, or not whole. */
export function parseJoinToken(text: string): JoinToken | undefined {
  if (!isJoinToken(text)) return undefined
  try {
    const parsed = JSON.parse(Buffer.from(text.slice(PREFIX.length), 'base64url').toString()) as JoinToken
    const { agent, secret, ca } = parsed
    const isWhole = typeof agent === 'string' && typeof secret === 'string' && /^[0-9a-f]{64}$/.test(ca)
    return isWhole ? { agent, secret, ca } : undefined
  } catch {
    return undefined
  }
}

export function isJoinToken(text: string): boolean {
  return text.startsWith(PREFIX)
}

/** In hexadecimal. */
export function sha256(of: string | Uint8Array): string {
  return createHash('sha256').update(of).digest('hex')
}
