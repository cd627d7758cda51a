/**
 * The only kinds of faults, besides core's `InvalidInput`. Expected outcomes (a lost race, a refusal) are values, not exceptions.
 * Anything else that is thrown is a bug.
 */

/** Something outside does not answer now. The loop that called it retries. It has its cause, if there is one. */
export class Unavailable extends Error {
  override readonly name: string = 'Unavailable'
}

/** A write was sent, and no answer came. It may have been applied, or still will be. Read again; never repeat it blindly. */
export class Ambiguous extends Unavailable {
  override readonly name = 'Ambiguous'
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
