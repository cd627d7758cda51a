import { sealingContext } from '../../core/records/sealing-context.ts'
import type { Identity } from '../identity/identity.ts'

export interface Sealed {
  sealed?: string | undefined
  sealedDigest?: string | undefined
}

/**
 * Values sealed for the pool of their entry. Sealing twice looks different, so what was sealed before stands as long as neither the
 * values, nor the entry they belong to, nor the pool's key have changed.
 */
export async function sealValues(
  entry: { pool: string; namespace: string; name: string; uid: string },
  secret: Readonly<Record<string, string>>,
  { identity, before }: { identity: Identity; before: Sealed | undefined },
): Promise<Sealed> {
  const names = Object.keys(secret).sort()
  if (names.length === 0) return {}
  const key = await identity.pool(entry.pool)
  const context = sealingContext(entry)
  const text = JSON.stringify(Object.fromEntries(names.map(name => [name, secret[name]])))
  const sealedDigest = identity.digest(JSON.stringify([key.publicPem, context, text]))
  if (before?.sealed && before.sealedDigest === sealedDigest) return { sealed: before.sealed, sealedDigest }
  return { sealed: key.seal(text, context), sealedDigest }
}
