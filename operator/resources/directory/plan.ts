import type { Problem } from '../port.ts'
import { canonical } from './canonical.ts'
import { type ObjectRecord, uidOf } from './record.ts'
import { isWithin } from './scan.ts'

/** An object in a file. */
export interface FileObject {
  /** `kind/namespace/name` */
  key: string
  file: string
  line: number
  labels: Record<string, string>
  annotations: Record<string, string>
  /** Canonical JSON. */
  spec: string
  /** Of the text of its document; undefined: the file was not read document by document. */
  digest?: string
  /** Its line, counted from the first line of its document. */
  lineInDocument?: number
}

export interface FileContent {
  objects: FileObject[]
  /** If there are any, the file may hold more objects than were read. */
  problems: Problem[]
}

export interface DirectoryState {
  records: ReadonlyMap<string, ObjectRecord>
  files: ReadonlyMap<string, FileContent>
  unreadable: readonly Problem[]
  /** True if all files have been read: an object that is in no file is removed. */
  settled: boolean
  /** Unix ms. */
  now: number
}

export interface Plan {
  puts: Map<string, ObjectRecord>
  deletes: string[]
  problems: Problem[]
}

/**
 * Plans how the records come to match the files. An object is removed only if its file is gone, or its file has no problem and does not
 * hold it, and no other unread file could hold it.
 */
export function plan(state: DirectoryState): Plan {
  const result: Plan = { puts: new Map(), deletes: [], problems: [...state.unreadable] }
  const wanted = new Map<string, FileObject[]>()
  for (const { objects, problems } of state.files.values()) {
    result.problems.push(...problems)
    for (const object of objects) wanted.set(object.key, [...(wanted.get(object.key) ?? []), object])
  }
  for (const [key, versions] of wanted) {
    const record = state.records.get(key)
    const chosen = choose(versions, record, result.problems)
    if (chosen) apply(chosen, record, { state, result })
  }
  for (const [key, record] of state.records) {
    if (!wanted.has(key) && record.deleted === undefined && isSurelyGone(record, state)) {
      if (record.finalizer) result.puts.set(key, { ...record, deleted: state.now })
      else result.deletes.push(key)
    }
  }
  return result
}

/** If several files hold an object, the file that held it before keeps it. If none did, the object is not created. */
function choose(
  versions: readonly FileObject[],
  record: ObjectRecord | undefined,
  problems: Problem[],
): FileObject | undefined {
  const [first, ...others] = versions
  if (others.length === 0) return first
  const inForce = versions.find(one => one.file === record?.file)
  for (const one of versions) {
    if (one === inForce) continue
    const other = inForce ?? versions.find(candidate => candidate !== one)
    const effect = inForce ? 'which stays in force' : 'and neither is used'
    problems.push({
      file: one.file,
      line: one.line,
      message: `${describe(one.key)} is also in ${other?.file} (line ${other?.line}), ${effect}; keep one of them`,
    })
  }
  return inForce
}

function apply(
  object: FileObject,
  record: ObjectRecord | undefined,
  { state, result }: { state: DirectoryState; result: Plan },
): void {
  const { key, file, line, labels, annotations, spec } = object
  if (!record) {
    const created = state.now
    const uid = uidOf(key, created)
    const fresh = { uid, created, generation: 1, finalizer: false, annotated: {} }
    result.puts.set(key, { ...fresh, file, labels, annotations, spec })
    return
  }
  // It becomes a new object after the old one is gone.
  if (record.deleted !== undefined || isEqual(object, record)) return
  const edited = record.spec !== spec
  if (edited && key.startsWith('ShellRun/')) {
    const message = `${describe(key)} has started, so its spec cannot be changed; use another name`
    result.problems.push({ file, line, field: 'spec', message })
    return
  }
  const generation = record.generation + (edited ? 1 : 0)
  result.puts.set(key, { ...record, file, labels, annotations, spec, generation })
}

function isEqual(object: FileObject, record: ObjectRecord): boolean {
  return (
    object.spec === record.spec &&
    object.file === record.file &&
    isSameMap(object.labels, record.labels) &&
    isSameMap(object.annotations, record.annotations)
  )
}

type Texts = Readonly<Record<string, string>>

function isSameMap(a: Texts, b: Texts): boolean {
  return a === b || canonical(a) === canonical(b)
}

function isSurelyGone(record: ObjectRecord, { files, unreadable, settled }: DirectoryState): boolean {
  if (!settled) return false
  const content = files.get(record.file)
  if (content) return content.problems.length === 0
  return !unreadable.some(({ file }) => isWithin(record.file, file))
}

function describe(key: string): string {
  const [kind, namespace, name] = key.split('/')
  return `${kind} ${namespace ? `${namespace}/` : ''}${name}`
}
