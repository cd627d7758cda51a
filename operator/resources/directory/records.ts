import { createInterner, internFields } from '../../../core/interner.ts'
import type { Clock } from '../../../platform/clock.ts'
import { messageOf } from '../../../platform/errors.ts'
import type { Log } from '../../../platform/log.ts'
import { type ObjectRecord, parseRecord, recordText } from './record.ts'
import type { StatusStore } from './status-store.ts'

export interface Steps {
  puts: ReadonlyMap<string, ObjectRecord>
  deletes: readonly string[]
}

/** Concurrent writes. */
const MAX_IN_FLIGHT = 32

/**
 * The records as the store has them. Changes are applied one after another, and are visible only once they are stored. So no other part
 * acts on an object, or a uid, that a crash would undo.
 */
export class Records {
  readonly #store: StatusStore
  readonly #onChange: (key: string, record: ObjectRecord | undefined) => void
  readonly #records = new Map<string, ObjectRecord>()
  readonly #intern = createInterner()
  #last: Promise<unknown> = Promise.resolve()
  #removed = 0

  constructor(store: StatusStore, onChange: (key: string, record: ObjectRecord | undefined) => void) {
    this.#store = store
    this.#onChange = onChange
  }

  /** How many records have been removed. After each removal an object of the same name may be created. */
  get removed(): number {
    return this.#removed
  }

  get(key: string): ObjectRecord | undefined {
    return this.#records.get(key)
  }

  /** The uids of all records of a kind. */
  uids(kind: string): string[] {
    return [...this.#records].flatMap(([key, { uid }]) => (key.startsWith(`${kind}/`) ? [uid] : []))
  }

  /** Reads the store, however long it takes to answer. */
  async load(signal: AbortSignal, clock: Clock, log: Log): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      try {
        for (const [key, value] of await this.#store.load()) this.#setRecord(key, parseRecord(value))
        return
      } catch (error) {
        log.warn({ error: messageOf(error) }, 'directory.storeFailed')
        await clock.sleep(1_000, signal)
      }
    }
  }

  /** Waits for earlier changes, plans on their result, and applies the plan. Rejects if the store fails; the failed records stay as they were. */
  change(plan: (records: ReadonlyMap<string, ObjectRecord>) => Steps): Promise<void> {
    const turn = this.#last.then(() => this.#apply(plan(this.#records)))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  async #apply({ puts, deletes }: Steps): Promise<void> {
    const writes = [...puts].map(([key, record]) => async () => {
      await this.#store.put(key, recordText(record))
      this.#setRecord(key, record)
    })
    const removals = deletes.map(key => async () => {
      await this.#store.delete(key)
      this.#records.delete(key)
      this.#removed++
      this.#onChange(key, undefined)
    })
    const all = [...writes, ...removals]
    for (let i = 0; i < all.length; i += MAX_IN_FLIGHT) {
      await Promise.all(all.slice(i, i + MAX_IN_FLIGHT).map(write => write()))
    }
  }

  #setRecord(key: string, record: ObjectRecord): void {
    const before = this.#records.get(key)
    internFields(this.#intern, record, ['file', 'labels', 'annotations', 'annotated'])
    this.#records.set(key, record)
    // The object is presented without its status.
    if (!before || !differsInStatusOnly(before, record)) this.#onChange(key, record)
  }
}

function differsInStatusOnly(a: ObjectRecord, b: ObjectRecord): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)] as (keyof ObjectRecord)[])
  names.delete('status')
  return [...names].every(name => a[name] === b[name])
}
