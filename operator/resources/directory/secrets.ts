import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, Unavailable } from '../../../runtime/errors.ts'
import type { LookedUpKind, Lookup, ObjectRef } from '../port.ts'
import { utf8 } from '../text.ts'
import { signatureOf } from './scan.ts'

const FOLDERS: Record<LookedUpKind, string> = { Secret: 'secrets', ConfigMap: 'configmaps' }
/** As in Kubernetes: letters, digits, '-', '_' and '.', but no name that leads elsewhere. */
const NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,253}$/

/** Secrets and ConfigMaps as folders with a file for each key. */
export interface FileLookups {
  lookUp: (kind: LookedUpKind, namespace: string, name: string) => Promise<Lookup>
  /** Tells of those that were looked up and have changed since. */
  check: () => Promise<void>
}

export function createFileLookups(root: string, onChange: (ref: ObjectRef) => void): FileLookups {
  const used = new Map<string, { ref: ObjectRef & { kind: LookedUpKind }; signature: string }>()
  const folderOf = (ref: ObjectRef & { kind: LookedUpKind }) =>
    join(root, FOLDERS[ref.kind], ref.namespace, ref.name)
  return {
    async lookUp(kind, namespace, name) {
      if (!NAME.test(namespace) || !NAME.test(name)) return { kind: 'absent' }
      const ref = { kind, namespace, name } as const
      // Before the reading: what changes meanwhile is told.
      const signature = await folderSignature(folderOf(ref))
      used.set(`${kind}/${namespace}/${name}`, { ref, signature })
      return contents(folderOf(ref))
    },
    async check() {
      for (const one of used.values()) {
        const signature = await folderSignature(folderOf(one.ref))
        if (signature === one.signature) continue
        one.signature = signature
        onChange(one.ref)
      }
    },
  }
}

async function keysOf(folder: string): Promise<string[]> {
  const names = await readdir(folder)
  // Hidden ones are editors', and the inner workings of a mounted Secret.
  return names.filter(name => !name.startsWith('.') && NAME.test(name)).sort()
}

async function folderSignature(folder: string): Promise<string> {
  try {
    const keys = await keysOf(folder)
    const signatures = keys.map(async key => `${key} ${signatureOf(await stat(join(folder, key)))}`)
    return (await Promise.all(signatures)).join('\n')
  } catch (error) {
    return messageOf(error)
  }
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
