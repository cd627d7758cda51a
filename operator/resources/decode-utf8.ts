const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The bytes as text; undefined if they are not UTF-8, or have a NUL byte, which no environment variable can hold. */
export function utf8(bytes: Uint8Array): string | undefined {
  try {
    const text = STRICT.decode(bytes)
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}
