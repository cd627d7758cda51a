import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { messageOf, Unavailable } from '../../../platform/errors.ts'
import { distrust, type Trust } from '../../../platform/trust.ts'
import { utf8 } from '../decode-utf8.ts'
import type { LookedUpKind, Lookup, ObjectRef, Problem } from '../port.ts'
import { signatureOf } from './scan.ts'
import { isWorldReadable } from './world-readable.ts'

const FOLDERS: Record<LookedUpKind, string> = { Secret: 'secrets', ConfigMap: 'configmaps' }
/** As in Kubernetes: letters, digits, '-', '_' and '.'. Neither '.' nor '..', which would leave the folder. */
const NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,253}$/

/** Secrets and ConfigMaps are folders with a file for each key. Keys of Secrets may also come from the operator's environment. */
export interface FileLookups {
  lookUp: (kind: LookedUpKind, namespace: string, name: string) => Promise<Lookup>
  /**
   * Reports those that were looked up and have changed since. As with objects, a change counts once two checks in a row have seen it, so
   * that no half-written value is used. True if nothing is changing; otherwise check again soon.
   */
  check: () => Promise<boolean>
  /** Files of Secrets that every user of this machine can read. They are used all the same. */
  problems: () => readonly Problem[]
}

/** Values of Secrets by `namespace/name`, then by key. */
export type GivenSecrets = ReadonlyMap<string, Readonly<Record<string, string>>>

interface Used {
  ref: ObjectRef & { kind: LookedUpKind }
  signature: string
  /** The signature at the last check, if it differs. */
  seen?: string
  exposed: readonly string[]
}

export function createFileLookups(
  root: string,
  onChange: (ref: ObjectRef) => void,
  { given = new Map(), trust }: { given?: GivenSecrets | undefined; trust: Trust },
): FileLookups {
  const used = new Map<string, Used>()
  const folderOf = (ref: ObjectRef & { kind: LookedUpKind }) =>
    join(root, FOLDERS[ref.kind], ref.namespace, ref.name)
  return {
    async lookUp(kind, namespace, name) {
      if (!NAME.test(namespace) || !NAME.test(name)) return { kind: 'absent' }
      const ref = { kind, namespace, name } as const
      const folder = folderOf(ref)
      // Taken before the values are read, so that a change during the read is reported.
      const signature = await folderSignature(folder)
      const exposed = kind === 'Secret' ? await exposedIn(folder) : []
      used.set(`${kind}/${namespace}/${name}`, { ref, signature, exposed })
      const fromEnv = kind === 'Secret' ? given.get(`${namespace}/${name}`) : undefined
      return withGiven(await contents(folder, trust), fromEnv)
    },
    async check() {
      const results: CheckResult[] = []
      for (const one of used.values()) {
        const result = compareSignature(one, await folderSignature(folderOf(one.ref)))
        if (result === 'changed') onChange(one.ref)
        results.push(result)
      }
      return !results.includes('changing')
    },
    problems: () => [...used.values()].flatMap(({ exposed }) => exposed.map(path => problemOf(root, path))),
  }
}

type CheckResult = 'same' | 'changing' | 'changed'

function compareSignature(one: Used, now: string): CheckResult {
  if (now === one.signature) {
    delete one.seen
    return 'same'
  }
  if (now !== one.seen) {
    one.seen = now
    return 'changing'
  }
  one.signature = now
  return 'changed'
}

function problemOf(root: string, path: string): Problem {
  const message = 'every user of this machine can read this Secret; remove that right (chmod o=)'
  return { file: relative(root, path), message }
}

async function keysOf(folder: string): Promise<string[]> {
  const names = await readdir(folder)
  // Hidden files belong to editors, or to the mechanics of a mounted Secret.
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

/** If a key also has a file, the file wins: it can be rotated. */
function withGiven(found: Lookup, given: Readonly<Record<string, string>> | undefined): Lookup {
  if (!given || found.kind === 'forbidden') return found
  if (found.kind === 'absent') return { kind: 'found', data: given, notText: [] }
  const usable = Object.entries(given).filter(([key]) => !found.notText.includes(key))
  return { ...found, data: { ...Object.fromEntries(usable), ...found.data } }
}

/**
 * Editors add a line end to the last line; one is removed from each value. A value that another user owns or can write is not used. The folder
 * is not judged: the kubelet makes folders that every user can write, and a file that another user puts there belongs to that user.
 */
async function contents(folder: string, trust: Trust): Promise<Lookup> {
  const data: Record<string, string> = {}
  const notText: string[] = []
  try {
    for (const key of await keysOf(folder)) {
      const path = join(folder, key)
      const stats = await stat(path)
      if (!stats.isFile()) continue
      const why = distrust(path, stats, { trust })
      if (why !== undefined) return { kind: 'forbidden', message: why }
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
