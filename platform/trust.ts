import type { Stats } from 'node:fs'
import { lstat, readlink, stat } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { messageOf } from './errors.ts'
import { uidOf, userName } from './users.ts'

/**
 * Who may own and write the paths that this process obeys. It is the rule of sshd for its keys, and of cron for its tables: a path belongs
 * to the caller, to root, or to a user whom the caller names. Nobody else can write it. For root, a group is somebody else, too. Symbolic
 * links have no mode; their owner counts.
 */
export interface Trust {
  /** The user of this process. undefined: this system has no such users (Windows), and every path is trusted. */
  caller: number | undefined
  /** The users who may own a path. */
  owners: ReadonlySet<number>
}

const ROOT = 0
const BY_GROUP = 0o020
const TO_OTHERS = 0o007
const TO_GROUP_AND_OTHERS = 0o077
const BY_EVERY_USER = 0o002
const STICKY = 0o1000
const MOST_LINKS = 40

export const trustAll: Trust = { caller: undefined, owners: new Set() }

/** `users`: names or numbers. Users that this machine does not have are ignored. */
export function trustIn(users: readonly string[] = [], caller = process.getuid?.()): Trust {
  const more = users.flatMap(user => uidOf(user) ?? [])
  return { caller, owners: new Set([ROOT, ...(caller === undefined ? [] : [caller]), ...more]) }
}

type Judged = Pick<Stats, 'uid' | 'mode'>

/** Why a path is not trusted, with the remedy. undefined: it is trusted. `isPrivate`: its group may never write it. */
export function distrust(
  path: string,
  stats: Judged,
  { trust, isPrivate = false }: { trust: Trust; isPrivate?: boolean },
): string | undefined {
  if (trust.caller === undefined) return undefined
  return foreignOwner(path, stats, trust) ?? otherWriters(path, stats, isPrivate || trust.caller === ROOT)
}

/** Why the owner of a path is not trusted, with the remedy. */
export function foreignOwner(path: string, { uid }: Judged, { caller, owners }: Trust): string | undefined {
  if (caller === undefined || owners.has(uid)) return undefined
  const owner = userName(uid)
  return `${path} belongs to user ${owner}, who could change what runs here; run \`chown ${userName(caller)} ${path}\`, or trust that user: --trust-owner ${owner}`
}

function otherWriters(path: string, { mode }: Judged, isGroupForeign: boolean): string | undefined {
  const byAll = (mode & BY_EVERY_USER) !== 0
  const byGroup = isGroupForeign && (mode & BY_GROUP) !== 0
  if (!byAll && !byGroup) return undefined
  const who = byAll ? 'every user' : 'its group'
  return `${who} can write ${path}; run \`chmod ${byAll && byGroup ? 'go' : byAll ? 'o' : 'g'}-w ${path}\``
}

export type Resolved =
  /** No symbolic link is left in `path`. It may not exist yet. */
  { kind: 'trusted'; path: string } | { kind: 'distrusted'; why: string }

/**
 * Follows a path from the root and judges each directory, each symbolic link and the end. Other users can replace what is in a directory
 * that they own or write. A sticky directory, such as /tmp, keeps them from replacing what is not theirs.
 */
export async function resolveTrusted(
  path: string,
  { trust, isPrivate = false }: { trust: Trust; isPrivate?: boolean },
): Promise<Resolved> {
  const rest = stepsOf(resolve(path))
  let at: string = sep
  for (let links = 0; rest.length > 0; ) {
    const next = join(at, rest.shift() ?? '')
    const stats = await lstatIfExists(next)
    if (!stats) return { kind: 'trusted', path: join(next, ...rest) }
    const why = distrustOfStep(next, stats, {
      trust,
      isPrivate: isPrivate && rest.length === 0,
      isLast: rest.length === 0,
    })
    if (why !== undefined) return { kind: 'distrusted', why }
    if (!stats.isSymbolicLink()) {
      at = next
      continue
    }
    if (++links > MOST_LINKS) return { kind: 'distrusted', why: `${path} has too many symbolic links` }
    rest.unshift(...stepsOf(resolve(dirname(next), await readlink(next))))
    at = sep
  }
  return { kind: 'trusted', path: at }
}

/**
 * Why a file is not trusted, with the remedy. A file that does not exist is judged by its parents. `isSecret`: a private key, which others
 * may not read either. As for ssh, the group of a key that belongs to another user, such as root, may read it: that user chose the group.
 */
export async function distrustOfFile(
  path: string,
  { trust, isSecret = false }: { trust: Trust; isSecret?: boolean },
): Promise<string | undefined> {
  if (trust.caller === undefined) return undefined
  const resolved = await resolveTrusted(path, { trust })
  if (resolved.kind === 'distrusted') return resolved.why
  const stats = isSecret ? await stat(resolved.path).catch(() => undefined) : undefined
  if (!stats) return undefined
  const isOwn = stats.uid === trust.caller
  const open = stats.mode & (isOwn ? TO_GROUP_AND_OTHERS : TO_OTHERS)
  if (open === 0) return undefined
  const who = open & TO_OTHERS ? 'every user' : 'its group'
  return `${who} can read ${path}; run \`chmod ${isOwn ? '600' : 'o-rwx'} ${path}\``
}

function distrustOfStep(
  path: string,
  stats: Stats,
  { trust, isPrivate, isLast }: { trust: Trust; isPrivate: boolean; isLast: boolean },
): string | undefined {
  const isSafeForAll = stats.isSymbolicLink() || (!isLast && (stats.mode & STICKY) !== 0)
  return isSafeForAll ? foreignOwner(path, stats, trust) : distrust(path, stats, { trust, isPrivate })
}

const stepsOf = (path: string): string[] => path.split(sep).filter(step => step !== '')

async function lstatIfExists(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new Error(`cannot look at ${path}: ${messageOf(error)}`, { cause: error })
  }
}
