import { readFile } from 'node:fs/promises'
import * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import { judgedUser, whyJudged } from '../../core/policy/host-user.ts'
import { isLike } from '../../core/policy/wildcard.ts'
import type { Entry } from '../../core/records/entry.ts'

/**
 * What this machine's owner allows, in a local file that nothing remote can widen. No file: hosts, all users, all namespaces. With one,
 * what it does not name it refuses.
 */
export interface LocalPolicy {
  /** Why this may not run here, or undefined. */
  refusal(entry: Entry): string | undefined
}

const schema = z.strictObject({
  allowHost: z.boolean().default(false),
  allowedUsers: z.array(z.string()).default([]),
  allowedNamespaces: z.array(z.string()).default([]),
  terminal: z.boolean().default(false),
})

export const allowAll: LocalPolicy = { refusal: () => undefined }

/** `path`: the default one may be absent; one that was named must exist. `self`: the agent's own user, which host.user unset means. */
export async function readLocalPolicy(path: string, named: boolean, self: string): Promise<LocalPolicy> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (!named && (error as NodeJS.ErrnoException).code === 'ENOENT') return allowAll
    throw new InvalidInput('--local-policy', `cannot read ${path}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  // Loaded where there is something to parse: it takes 2 MB.
  const { parse } = await import('yaml')
  const parsed = schema.safeParse(parse(text) ?? {})
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new InvalidInput(`${path}: ${issue?.path.join('.') || 'file'}`, issue?.message ?? 'is not valid')
  }
  const { allowHost, allowedUsers, allowedNamespaces } = parsed.data
  return {
    refusal({ namespace, command }) {
      if (!allowedNamespaces.some(pattern => isLike(pattern, namespace)))
        return `namespace ${namespace} is not in allowedNamespaces`
      if (!command.host) return undefined
      if (!allowHost) return 'allowHost is not set'
      const user = judgedUser(command.host, self)
      if (allowedUsers.some(pattern => isLike(pattern, user))) return undefined
      const why = whyJudged(command.host, self)
      return `user ${user}${why ? ` (${why})` : ''} is not in allowedUsers`
    },
  }
}
