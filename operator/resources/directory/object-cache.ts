import { isDeepStrictEqual } from 'node:util'
import { createInterner, type Intern, internFields } from '../../../core/interner.ts'
import type { ShellCronObject } from '../../../core/schema/objects.ts'
import { messageOf } from '../../../platform/errors.ts'
import type { Log } from '../../../platform/log.ts'
import type { CachedKind, ObjectRef, Objects } from '../port.ts'
import { keyOf, type ObjectRecord } from './record.ts'
import { toObject } from './to-object.ts'

/** The objects of the records, parsed. An object that this version cannot read keeps its last readable form. */
export class ObjectCache {
  /** By kind, so that a list of the few agents does not read ten thousand jobs. */
  readonly #kinds = new Map<string, Map<string, Objects[CachedKind]>>()
  readonly #unreadable = new Map<string, string>()
  readonly #intern = createInterner()
  readonly #onChange: (ref: ObjectRef) => void
  readonly #log: Log

  constructor(onChange: (ref: ObjectRef) => void, log: Log) {
    this.#onChange = onChange
    this.#log = log
  }

  get<K extends CachedKind>(kind: K, namespace: string, name: string): Objects[K] | undefined {
    return this.#ofKind(kind).get(keyOf({ kind, namespace, name })) as Objects[K] | undefined
  }

  list<K extends CachedKind>(kind: K): Objects[K][] {
    return [...this.#ofKind(kind).values()] as Objects[K][]
  }

  /** Why the object cannot be read. */
  unreadable(kind: CachedKind, namespace: string, name: string): string | undefined {
    return this.#unreadable.get(keyOf({ kind, namespace, name }))
  }

  /** `record` undefined: the object is gone. */
  update(key: string, record: ObjectRecord | undefined): void {
    const ref = refOf(key)
    const objects = this.#ofKind(ref.kind)
    const before = objects.get(key)
    this.#unreadable.delete(key)
    try {
      if (record) objects.set(key, this.#interned(toObject(key, record)) as Objects[CachedKind])
      else objects.delete(key)
    } catch (error) {
      this.#unreadable.set(key, messageOf(error))
      this.#log.error({ key, error: messageOf(error) }, 'object.unreadable')
    }
    if (!isDeepStrictEqual(before, objects.get(key))) this.#onChange(ref)
  }

  /** Jobs share most parts of their objects. */
  #interned(object: ShellCronObject): ShellCronObject {
    internParts(this.#intern, object.metadata)
    if (object.kind !== 'ShellCronJob') return object
    internParts(this.#intern, object.spec.template.spec)
    internFields(this.#intern, object.spec, ['schedule', 'timeZone', 'daylightSaving'])
    return object
  }

  #ofKind(kind: string): Map<string, Objects[CachedKind]> {
    const known = this.#kinds.get(kind)
    if (known) return known
    const fresh = new Map<string, Objects[CachedKind]>()
    this.#kinds.set(kind, fresh)
    return fresh
  }
}

function internParts(intern: Intern, of: object): void {
  const parts = of as Record<string, unknown>
  internFields(
    intern,
    parts,
    Object.keys(parts).filter(name => typeof parts[name] === 'object'),
  )
}

function refOf(key: string): ObjectRef {
  const [kind, namespace = '', name = ''] = key.split('/')
  return { kind: kind as CachedKind, namespace, name }
}
