import { readFile } from 'node:fs/promises'
import * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import { judgedUser, whyJudged } from '../../core/policy/host-user.ts'
import { isLike } from '../../core/policy/wildcard.ts'
import type { Entry } from '../../core/records/entry.ts'
import { isReserved } from '../../core/schema/env.ts'
import { distrustOfFile, type Trust } from '../../platform/trust.ts'

/** What the owner of this machine allows, in a local file. Nothing remote can widen it. */
export interface LocalPolicy {
  /** Why the entry may not run here. undefined: it may. */
  refusal(entry: Entry): string | undefined
  /** Variables of every command on the host, unless its job sets them. */
  env: Readonly<Record<string, string>>
}

const permissions = z.strictObject({
  allowHost: z.boolean(),
  allowedUsers: z.array(z.string()),
  allowedNamespaces: z.array(z.string()),
  allowPrivilegeEscalation: z.boolean(),
  terminal: z.boolean(),
})
type Permissions = z.infer<typeof permissions>

const variable = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be letters, digits and underscores, and not begin with a digit')
  .refine(name => !isReserved(name), 'must not begin with SHELLCRON_ or PARAM_, which ShellCron sets itself')
const schema = permissions.partial().extend({
  env: z
    .record(
      variable,
      z.string('must be text; write numbers in quotes').regex(/^[^\0]*$/, 'must not contain a NUL'),
    )
    .default({}),
})

const NONE: Permissions = {
  allowHost: false,
  allowedUsers: [],
  allowedNamespaces: [],
  allowPrivilegeEscalation: false,
  terminal: false,
}

/** What counts without a file, and with a file that names no permission. */
const USUAL: Permissions = {
  allowHost: true,
  allowedUsers: ['*'],
  allowedNamespaces: ['*'],
  allowPrivilegeEscalation: false,
  terminal: false,
}

export const withoutFile: LocalPolicy = { env: {}, refusal: entry => refusal(entry, USUAL, 'root') }

/**
 * `mustExist`: a file that the settings name must exist; the default file may be absent. `ownUser`: the agent's user, for entries without
 * `host.user`. Throws InvalidInput if the file is malformed, or if others could change it.
 */
export async function readLocalPolicy(
  path: string,
  { mustExist, ownUser, trust }: { mustExist: boolean; ownUser: string; trust: Trust },
): Promise<LocalPolicy> {
  const why = await distrustOfFile(path, { trust })
  if (why !== undefined) throw new InvalidInput('--local-policy', why)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (!mustExist && (error as NodeJS.ErrnoException).code === 'ENOENT') return withoutFile
    throw new InvalidInput('--local-policy', `cannot read ${path}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  const { env, ...named } = await parsePolicy(path, text)
  // A file that names one permission refuses those that it does not name.
  const allowed = Object.keys(named).length === 0 ? USUAL : permissions.parse({ ...NONE, ...named })
  return { env, refusal: entry => refusal(entry, allowed, ownUser) }
}

function refusal({ namespace, command }: Entry, allowed: Permissions, ownUser: string): string | undefined {
  if (!allowed.allowedNamespaces.some(pattern => isLike(pattern, namespace)))
    return `namespace ${namespace} is not in allowedNamespaces`
  const { host } = command
  if (!host) return undefined
  if (!allowed.allowHost) return 'allowHost is not set'
  if (host.allowPrivilegeEscalation && !allowed.allowPrivilegeEscalation)
    return 'allowPrivilegeEscalation is not set'
  const user = judgedUser(host, ownUser)
  if (allowed.allowedUsers.some(pattern => isLike(pattern, user))) return undefined
  const why = whyJudged(host, ownUser)
  return `user ${user}${why ? ` (${why})` : ''} is not in allowedUsers`
}

async function parsePolicy(path: string, text: string): Promise<z.infer<typeof schema>> {
  // Loaded only if there is a file to parse: the library takes 2 MB.
  const { parse } = await import('./parse-yaml.ts')
  const parsed = schema.safeParse(parse(text) ?? {})
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const message = issue?.code === 'invalid_key' ? issue.issues[0]?.message : issue?.message
  throw new InvalidInput(`${path}: ${issue?.path.join('.') || 'file'}`, message ?? 'is not valid')
}
