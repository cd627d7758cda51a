import { spawnSync } from 'node:child_process'

/** The number of a user, given as a name or a number. undefined: this machine has no such user. */
export function uidOf(user: string): number | undefined {
  if (/^\d{1,10}$/.test(user)) return Number(user)
  const uid = ask('-u', user)
  return uid === undefined ? undefined : Number(uid)
}

/** A check for zod's `refine`. */
export const existingUser = [
  (user: string) => uidOf(user) !== undefined,
  { error: ({ input }: { input?: unknown }) => `this machine has no user "${String(input)}"` },
] as const

/** The name of a user, or the number if it has no name. */
export function userName(uid: number): string {
  return ask('-un', String(uid)) ?? String(uid)
}

/** Node cannot look up another user. `id` also knows the users that are not in /etc/passwd. */
function ask(what: string, user: string): string | undefined {
  const { status, stdout } = spawnSync('id', [what, '--', user], { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}
