import type { Dirent, Stats } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { messageOf } from '../../../platform/errors.ts'
import { distrust, type Trust } from '../../../platform/trust.ts'
import type { Problem } from '../port.ts'

/** The files that may hold objects, at one moment. Paths are relative to the directory, with slashes. */
export interface Scan {
  /** By path, a signature that changes whenever the file does. */
  files: Map<string, string>
  /** By path, what was found there. */
  folders: Map<string, Stats>
  /** Files that can change without a change in their folder: behind symbolic links, hard links and mounts. */
  elsewhere: Set<string>
  /** Folders ('.' = all) that could not be read, or that other users can write. Their contents are unknown. */
  unreadable: Problem[]
}

/** Folders without objects: Secrets, ConfigMaps, and other programs' files. */
const SKIPPED = new Set(['secrets', 'configmaps', 'node_modules'])

/**
 * Lists the files of `root` and its subfolders, and of the folders `also`, which are relative to it and may be hidden or outside. Follows
 * symbolic links to files, and `root` itself if it is one, but no links to folders, which may form a loop.
 */
export async function scan(
  root: string,
  { also = [], trust }: { also?: readonly string[]; trust: Trust },
): Promise<Scan> {
  const result: Scan = { files: new Map(), folders: new Map(), elsewhere: new Set(), unreadable: [] }
  const pending = ['', ...also]
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    try {
      const path = join(root, folder)
      // Before its entries are read, so that a later change shows.
      const stats = await stat(path)
      const why = distrust(path, stats, { trust })
      if (why !== undefined) {
        result.unreadable.push({ file: folder || '.', message: `is not used: ${why}` })
        continue
      }
      const entries = await readdir(path, { withFileTypes: true })
      result.folders.set(folder, stats)
      for (const entry of entries) {
        const below = folder === '' ? entry.name : `${folder}/${entry.name}`
        if (isFolder(entry)) pending.push(below)
        else await addFile(join(root, below), { below, entry, dev: stats.dev, result })
      }
    } catch (error) {
      result.unreadable.push({ file: folder || '.', message: `cannot be read: ${messageOf(error)}` })
    }
  }
  return result
}

function isFolder(entry: Dirent): boolean {
  return entry.isDirectory() && !entry.name.startsWith('.') && !SKIPPED.has(entry.name)
}

async function addFile(
  path: string,
  { below, entry, dev, result }: { below: string; entry: Dirent; dev: number; result: Scan },
): Promise<void> {
  const { name } = entry
  if (name.startsWith('.') || !/\.ya?ml$/i.test(name)) return
  const found = await stat(path).catch(() => undefined)
  // What is not a regular file is refused by its reader, with a message.
  if (found && !found.isDirectory()) result.files.set(below, signatureOf(found))
  if (entry.isSymbolicLink() || (found && (found.nlink > 1 || found.dev !== dev))) result.elsewhere.add(below)
}

/**
 * Whether nothing has changed since the scan, apart from the contents of files that are not `elsewhere`. Its cost grows with the folders, not
 * with the files.
 */
export async function isUnchanged(root: string, { folders, files, elsewhere }: Scan): Promise<boolean> {
  for (const [folder, before] of folders) {
    const now = await stat(join(root, folder)).catch(() => undefined)
    if (!now || signatureOf(now) !== signatureOf(before)) return false
  }
  for (const file of elsewhere) {
    const now = await stat(join(root, file)).catch(() => undefined)
    const signature = now && !now.isDirectory() ? signatureOf(now) : undefined
    if (signature !== files.get(file)) return false
  }
  return true
}

/** Differs after every save, also one by rename. Two saves in the same ms need to differ in size. */
export function signatureOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return [dev, ino, size, mtimeMs, ctimeMs].join(' ')
}

/** Whether `path` is in `folder` ('.' = everything). */
export function isWithin(path: string, folder: string): boolean {
  return !relative(folder, path).startsWith('..')
}
