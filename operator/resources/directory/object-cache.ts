import { isDeepStrictEqual } from 'node:util'
import { messageOf } from '../../../platform/errors.ts'
import type { Log } from '../../../platform/log.ts'
import type { CachedKind, ObjectRef, Objects } from '../port.ts'
import { keyOf, type ObjectRecord } from './record.ts'
import { toObject } from './to-object.ts'

/** The objects of the records, parsed. An object that this version cannot read keeps its last readable form. */
export class ObjectCache {
  readonly #objects = new Map<string, Objects[CachedKind]>()
  readonly #unreadable = new Map<string, string>()
  readonly #onChange: (ref: ObjectRef) => void
  readonly #log: Log

  constructor(onChange: (ref: ObjectRef) => void, log: Log) {
    this.#onChange = onChange
    this.#log = log
  }

  get<K extends CachedKind>(kind: K, namespace: string, name: string): Objects[K] | undefined {
    return this.#objects.get(keyOf({ kind, namespace, name })) as Objects[K] | undefined
  }

  list<K extends CachedKind>(kind: K): Objects[K][] {
    return [...this.#objects.values()].filter((one): one is Objects[K] => one.kind === kind)
  }

  /** Why the object cannot be read. */
  unreadable(kind: CachedKind, namespace: string, name: string): string | undefined {
    return this.#unreadable.get(keyOf({ kind, namespace, name }))
  }

  /** `record` undefined: the object is gone. */
  update(key: string, record: ObjectRecord | undefined): void {
    const before = this.#objects.get(key)
    this.#unreadable.delete(key)
    try {
      if (record) this.#objects.set(key, toObject(key, record) as Objects[CachedKind])
      else this.#objects.delete(key)
    } catch (error) {
      this.#unreadable.set(key, messageOf(error))
      this.#log.error({ key, error: messageOf(error) }, 'object.unreadable')
    }
    if (!isDeepStrictEqual(before, this.#objects.get(key))) this.#onChange(refOf(key))
  }
}

function refOf(key: string): ObjectRef {
  const [kind, namespace = '', name = ''] = key.split('/')
  return { kind: kind as CachedKind, namespace, name }
}
