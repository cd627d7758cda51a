import { readFile } from 'node:fs/promises'
import * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import { judgedUser, whyJudged } from '../../core/policy/host-user.ts'
import { isLike } from '../../core/policy/wildcard.ts'
import type { Entry } from '../../core/records/entry.ts'

/**
 * What the owner of this machine allows, in a local file. Nothing remote can widen it. Without a file, host commands, all users and all
 * namespaces are allowed. A file refuses everything that it does not name.
 */
export interface LocalPolicy {
  /** Why the entry may not run here. undefined: it may. */
  refusal(entry: Entry): string | undefined
}

const schema = z.strictObject({
  allowHost: z.boolean().default(false),
  allowedUsers: z.array(z.string()).default([]),
  allowedNamespaces: z.array(z.string()).default([]),
  terminal: z.boolean().default(false),
})

export const allowAll: LocalPolicy = { refusal: () => undefined }

/**
 * `mustExist`: a file that the settings name must exist; the default file may be absent. `ownUser`: the agent's user, for entries without
 * `host.user`.
 */
export async function readLocalPolicy(
  path: string,
  mustExist: boolean,
  ownUser: string,
): Promise<LocalPolicy> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (!mustExist && (error as NodeJS.ErrnoException).code === 'ENOENT') return allowAll
    throw new InvalidInput('--local-policy', `cannot read ${path}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  const { allowHost, allowedUsers, allowedNamespaces } = await parsePolicy(path, text)
  return {
    refusal({ namespace, command }) {
      if (!allowedNamespaces.some(pattern => isLike(pattern, namespace)))
        return `namespace ${namespace} is not in allowedNamespaces`
      if (!command.host) return undefined
      if (!allowHost) return 'allowHost is not set'
      const user = judgedUser(command.host, ownUser)
      if (allowedUsers.some(pattern => isLike(pattern, user))) return undefined
      const why = whyJudged(command.host, ownUser)
      return `user ${user}${why ? ` (${why})` : ''} is not in allowedUsers`
    },
  }
}

async function parsePolicy(path: string, text: string): Promise<z.infer<typeof schema>> {
  // Loaded only if there is a file to parse: the library takes 2 MB.
  const { parse } = await import('yaml')
  const parsed = schema.safeParse(parse(text) ?? {})
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new InvalidInput(`${path}: ${issue?.path.join('.') || 'file'}`, issue?.message ?? 'is not valid')
}
