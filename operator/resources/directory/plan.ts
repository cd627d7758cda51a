import type { Problem } from '../port.ts'
import { canonical, type ObjectRecord, uidOf } from './record.ts'
import { isWithin } from './scan.ts'

/** An object as a file has it. */
export interface FileObject {
  /** `kind/namespace/name` */
  key: string
  file: string
  line: number
  labels: Record<string, string>
  annotations: Record<string, string>
  spec: unknown
}

export interface FileContent {
  objects: FileObject[]
  /** With any of these the file may hold more than we can see. */
  problems: Problem[]
}

export interface World {
  records: ReadonlyMap<string, ObjectRecord>
  files: ReadonlyMap<string, FileContent>
  unreadable: readonly Problem[]
  /** Nothing is left to be read: what is in no file now is in none. */
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
 * What makes the records agree with the files. An object is taken away only if its file is there no more, or is there without any
 * problem and does not have it, and no file is left from which it could come.
 */
export function plan(world: World): Plan {
  const result: Plan = { puts: new Map(), deletes: [], problems: [...world.unreadable] }
  const wanted = new Map<string, FileObject[]>()
  for (const { objects, problems } of world.files.values()) {
    result.problems.push(...problems)
    for (const object of objects) wanted.set(object.key, [...(wanted.get(object.key) ?? []), object])
  }
  for (const [key, versions] of wanted) {
    const record = world.records.get(key)
    const chosen = choose(versions, record, result.problems)
    if (chosen) take(chosen, record, { world, result })
  }
  for (const [key, record] of world.records) {
    if (!wanted.has(key) && record.deleted === undefined && isSurelyGone(record, world)) {
      if (record.finalizer) result.puts.set(key, { ...record, deleted: world.now })
      else result.deletes.push(key)
    }
  }
  return result
}

/** Of an object that several files hold, the version of the file that had it before stays in force, if there is one. */
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
    const which = inForce ? 'which stays in force' : 'and neither is taken'
    problems.push({
      file: one.file,
      line: one.line,
      message: `${describe(one.key)} is also in ${other?.file} (line ${other?.line}), ${which}: keep one of them`,
    })
  }
  return inForce
}

function take(
  object: FileObject,
  record: ObjectRecord | undefined,
  { world, result }: { world: World; result: Plan },
): void {
  const { key, file, line, labels, annotations, spec } = object
  if (!record) {
    const created = world.now
    const uid = uidOf(key, created)
    const fresh = { uid, created, generation: 1, finalizer: false, annotated: {} }
    result.puts.set(key, { ...fresh, file, labels, annotations, spec })
    return
  }
  // It comes back as a new object, after the old one has ended.
  if (record.deleted !== undefined) return
  const edited = canonical(record.spec) !== canonical(spec)
  if (edited && key.startsWith('ShellRun/')) {
    const message = `${describe(key)} has begun as it was, its spec cannot be changed: use another name`
    result.problems.push({ file, line, field: 'spec', message })
    return
  }
  const next = {
    ...record,
    file,
    labels,
    annotations,
    spec,
    generation: record.generation + (edited ? 1 : 0),
  }
  if (canonical(next) !== canonical(record)) result.puts.set(key, next)
}

function isSurelyGone(record: ObjectRecord, { files, unreadable, settled }: World): boolean {
  if (!settled) return false
  const content = files.get(record.file)
  if (content) return content.problems.length === 0
  return !unreadable.some(({ file }) => isWithin(record.file, file))
}

function describe(key: string): string {
  const [kind, namespace, name] = key.split('/')
  return `${kind} ${namespace ? `${namespace}/` : ''}${name}`
}
