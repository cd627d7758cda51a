/**
 * The only kinds of fault, beside `InvalidInput` of core. Expected outcomes (a lost race, a refusal) are values, not exceptions.
 * Anything else that is thrown is a bug.
 */

/** Something outside does not answer now: retried by whoever owns the loop. Always with its cause where there is one. */
export class Unavailable extends Error {
  override readonly name: string = 'Unavailable'
}

/** A write was sent and its answer did not come: it may have been applied, now or later. Re-read; never repeat it blindly. */
export class Ambiguous extends Unavailable {
  override readonly name = 'Ambiguous'
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
