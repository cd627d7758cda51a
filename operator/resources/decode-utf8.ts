const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The bytes as text, or undefined if they are none: not UTF-8, or with a NUL, which no variable can hold. */
export function utf8(bytes: Uint8Array): string | undefined {
  try {
    const text = STRICT.decode(bytes)
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}
