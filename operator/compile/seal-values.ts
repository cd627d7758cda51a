import { sealingContext } from '../../core/records/sealing-context.ts'
import type { Identity } from '../identity/identity.ts'

export interface Sealed {
  sealed?: string | undefined
  sealedDigest?: string | undefined
}

/**
 * Seals the values for the pool of their entry. Sealing the same values twice gives different texts. So the text from before is kept until
 * the values, the entry's identity or the pool's key change.
 */
export async function sealValues(
  entry: { pool: string; namespace: string; name: string; uid: string },
  secret: Readonly<Record<string, string>>,
  { identity, before }: { identity: Pick<Identity, 'pool' | 'digest'>; before: Sealed | undefined },
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
