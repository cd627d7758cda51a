import type { Context } from '../context.ts'
import type { Resources } from '../resources/port.ts'
import { explainDenial } from './report-denials.ts'

/** What /readyz says. A candidate is ready: it takes over when the leader ends. */
export interface Readiness {
  /** An attempt to get the Lease. `trouble`: why it could not be read or written. */
  onAttempt(trouble: string | undefined): void
  /** A term of leadership begins with these objects, or ends. */
  onTerm(resources: Pick<Resources, 'denied'> | undefined): void
  /** Why the operator is not ready. `context`: of an operator that leads and has read everything. */
  unready(context: Context | undefined): string | undefined
}

/** The operator is not ready if its objects have not been confirmed for this long, ms. */
const STALE_MS = 300_000

export function createReadiness(): Readiness {
  let term: Pick<Resources, 'denied'> | undefined
  let hasTried = false
  let trouble: string | undefined
  const whyNotCandidate = () => {
    if (term) return 'this operator leads, and is reading the objects and etcd'
    if (trouble !== undefined) return `the Lease cannot be read or written: ${trouble}`
    return hasTried ? undefined : 'this operator is starting'
  }
  return {
    onAttempt(why) {
      hasTried = true
      trouble = why
    },
    onTerm(resources) {
      term = resources
    },
    unready(context) {
      const [denial] = term?.denied() ?? []
      if (denial) return explainDenial(denial)
      if (!context) return whyNotCandidate()
      if (!context.mirrors.synced()) return 'etcd cannot be reached'
      return context.resources.staleForMs() > STALE_MS ? 'the objects cannot be reached' : undefined
    },
  }
}
