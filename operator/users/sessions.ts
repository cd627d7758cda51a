import { createHash, randomBytes } from 'node:crypto'
import type { Clock } from '../../platform/clock.ts'
import type { Subject } from './rights.ts'

/** What users have got for their tickets: a token for the requests of one command. In memory only. */
export interface Sessions {
  open(subject: Subject): { token: string; expiresInSeconds: number }
  /** undefined: no such session, or it has expired. */
  find(token: string): Subject | undefined
}

const LIFE_MS = 600_000
/** Of one user; the oldest ends. */
const MOST_OF_USER = 100

export function createSessions(clock: Pick<Clock, 'monotonic'>): Sessions {
  const byUser = new Map<string, Set<string>>()
  const sessions = new Map<string, { subject: Subject; until: number }>()
  const end = (key: string) => {
    const user = sessions.get(key)?.subject.user ?? ''
    sessions.delete(key)
    const own = byUser.get(user)
    if (own?.delete(key) && own.size === 0) byUser.delete(user)
  }
  const endExpired = () => {
    // In the order of their end.
    for (const [key, { until }] of sessions) {
      if (until > clock.monotonic()) return
      end(key)
    }
  }
  return {
    open(subject) {
      endExpired()
      const token = randomBytes(32).toString('base64url')
      const own = byUser.get(subject.user) ?? new Set()
      byUser.set(subject.user, own.add(keyOf(token)))
      sessions.set(keyOf(token), { subject, until: clock.monotonic() + LIFE_MS })
      const [oldest] = own
      if (own.size > MOST_OF_USER && oldest !== undefined) end(oldest)
      return { token, expiresInSeconds: LIFE_MS / 1_000 }
    },
    find(token) {
      endExpired()
      return sessions.get(keyOf(token))?.subject
    },
  }
}

/** The time of a look-up must not depend on how much of a guess is right. */
function keyOf(token: string): string {
  return createHash('sha256').update(token).digest('base64')
}
