import { lstat, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { foreignOwner, type Resolved, resolveTrusted, type Trust } from './trust.ts'

/**
 * Creates a state directory if it is missing, with mode 0700, and resolves to its path without symbolic links. A directory that other users
 * own, can write or can replace is distrusted, and so is one that holds a symbolic link or a file of another user: it was put there to be
 * followed or obeyed. What a trusted directory holds later is the caller's own.
 */
export async function makeStateDirectory(given: string, trust: Trust): Promise<Resolved> {
  const resolved = await resolveTrusted(given, { trust, isPrivate: true })
  if (resolved.kind === 'distrusted') return resolved
  await mkdir(resolved.path, { recursive: true, mode: 0o700 })
  const made = await resolveTrusted(resolved.path, { trust, isPrivate: true })
  if (made.kind === 'distrusted') return made
  const why = await plantedIn(made.path, trust)
  return why === undefined ? made : { kind: 'distrusted', why }
}

/** Why something in the directory is not trusted. Files come and go while it looks. */
async function plantedIn(root: string, trust: Trust): Promise<string | undefined> {
  if (trust.caller === undefined) return undefined
  const pending = [root]
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      const path = join(folder, entry.name)
      if (entry.isSymbolicLink())
        return `${path} is a symbolic link, which would be written through; remove it`
      const stats = await lstat(path).catch(() => undefined)
      const why = stats && foreignOwner(path, stats, trust)
      if (why !== undefined) return why
      if (entry.isDirectory()) pending.push(path)
    }
  }
  return undefined
}
