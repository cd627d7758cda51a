import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { messageOf, Unavailable } from '../../../platform/errors.ts'
import { utf8 } from '../decode-utf8.ts'
import type { LookedUpKind, Lookup, ObjectRef, Problem } from '../port.ts'
import { signatureOf } from './scan.ts'
import { isWorldReadable } from './world-readable.ts'

const FOLDERS: Record<LookedUpKind, string> = { Secret: 'secrets', ConfigMap: 'configmaps' }
/** As in Kubernetes: letters, digits, '-', '_' and '.', but no name that leads elsewhere. */
const NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,253}$/

/** Secrets and ConfigMaps as folders with a file for each key; keys of Secrets may have come with the environment too. */
export interface FileLookups {
  lookUp: (kind: LookedUpKind, namespace: string, name: string) => Promise<Lookup>
  /**
   * Tells of those that were looked up and have changed since. As with objects a change counts when two looks in a row have seen it, so
   * that nobody gets the half of a value. Answers whether all has settled; if not, look again soon.
   */
  check: () => Promise<boolean>
  /** Files of Secrets that every user of this machine can read. They serve nevertheless. */
  problems: () => readonly Problem[]
}

/** Values of Secrets by `namespace/name`, then by key. */
export type GivenSecrets = ReadonlyMap<string, Readonly<Record<string, string>>>

interface Used {
  ref: ObjectRef & { kind: LookedUpKind }
  signature: string
  /** What the last look saw, if that is something else. */
  seen?: string
  exposed: readonly string[]
}

export function createFileLookups(
  root: string,
  onChange: (ref: ObjectRef) => void,
  given: GivenSecrets = new Map(),
): FileLookups {
  const used = new Map<string, Used>()
  const folderOf = (ref: ObjectRef & { kind: LookedUpKind }) =>
    join(root, FOLDERS[ref.kind], ref.namespace, ref.name)
  return {
    async lookUp(kind, namespace, name) {
      if (!NAME.test(namespace) || !NAME.test(name)) return { kind: 'absent' }
      const ref = { kind, namespace, name } as const
      const folder = folderOf(ref)
      // Before the reading: what changes meanwhile is told.
      const signature = await folderSignature(folder)
      const exposed = kind === 'Secret' ? await exposedIn(folder) : []
      used.set(`${kind}/${namespace}/${name}`, { ref, signature, exposed })
      const own = kind === 'Secret' ? given.get(`${namespace}/${name}`) : undefined
      return withGiven(await contents(folder), own)
    },
    async check() {
      let settled = true
      for (const one of used.values()) {
        const now = await folderSignature(folderOf(one.ref))
        const before = one.seen
        if (now === one.signature) delete one.seen
        else if (now === before) {
          one.signature = now
          onChange(one.ref)
        } else {
          one.seen = now
          settled = false
        }
      }
      return settled
    },
    problems: () =>
      [...used.values()]
        .flatMap(({ exposed }) => exposed)
        .map(path => ({
          file: relative(root, path),
          message: 'every user of this machine can read this Secret; take that right away (chmod o=)',
        })),
  }
}

async function keysOf(folder: string): Promise<string[]> {
  const names = await readdir(folder)
  // Hidden ones are editors', and the inner workings of a mounted Secret.
  return names.filter(name => !name.startsWith('.') && NAME.test(name)).sort()
}

async function folderSignature(folder: string): Promise<string> {
  try {
    const { mode } = await stat(folder)
    const keys = await keysOf(folder)
    const signatures = keys.map(async key => `${key} ${signatureOf(await stat(join(folder, key)))}`)
    return [mode, ...(await Promise.all(signatures))].join('\n')
  } catch (error) {
    return messageOf(error)
  }
}

async function exposedIn(folder: string): Promise<string[]> {
  const paths = (await keysOf(folder).catch(() => [])).map(key => join(folder, key))
  const exposed = await Promise.all(paths.map(isWorldReadable))
  return paths.filter((_, i) => exposed[i])
}

/** A key that has a file too is the file's, which can be rotated. */
function withGiven(found: Lookup, given: Readonly<Record<string, string>> | undefined): Lookup {
  if (!given || found.kind === 'forbidden') return found
  if (found.kind === 'absent') return { kind: 'found', data: given, notText: [] }
  const own = Object.entries(given).filter(([key]) => !found.notText.includes(key))
  return { ...found, data: { ...Object.fromEntries(own), ...found.data } }
}

/** One line end at the end of a value is the editor's, not the value's, and is left out. */
async function contents(folder: string): Promise<Lookup> {
  const data: Record<string, string> = {}
  const notText: string[] = []
  try {
    for (const key of await keysOf(folder)) {
      const path = join(folder, key)
      if (!(await stat(path)).isFile()) continue
      const text = utf8(await readFile(path))
      if (text === undefined) notText.push(key)
      else data[key] = text.replace(/\r?\n$/, '')
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'absent' }
    if (code === 'EACCES' || code === 'EPERM') return { kind: 'forbidden', message: messageOf(error) }
    throw new Unavailable(`${folder}: ${messageOf(error)}`, { cause: error })
  }
  return { kind: 'found', data, notText }
}
