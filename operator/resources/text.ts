const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The bytes as text, or undefined if they are not UTF-8. */
export function utf8(bytes: Uint8Array): string | undefined {
  try {
    return STRICT.decode(bytes)
  } catch {
    return undefined
  }
}
