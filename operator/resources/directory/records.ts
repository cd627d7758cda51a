import type { Clock } from '../../../platform/clock.ts'
import { messageOf } from '../../../platform/errors.ts'
import type { Log } from '../../../platform/log.ts'
import { canonical, type ObjectRecord, parseRecord } from './record.ts'
import type { StatusStore } from './status-store.ts'

export interface Steps {
  puts: ReadonlyMap<string, ObjectRecord>
  deletes: readonly string[]
}

/** Writes in flight. */
const AT_ONCE = 32

/**
 * The records as the store has them: changed by one hand after the other, and shown only when the store has them, so that nobody acts
 * on an object, or a uid, that a crash would make undone.
 */
export class Records {
  readonly #store: StatusStore
  readonly #onChange: (key: string, record: ObjectRecord | undefined) => void
  readonly #records = new Map<string, ObjectRecord>()
  #last: Promise<unknown> = Promise.resolve()
  #removed = 0

  constructor(store: StatusStore, onChange: (key: string, record: ObjectRecord | undefined) => void) {
    this.#store = store
    this.#onChange = onChange
  }

  /** How many have been removed: after each, an object of the same name may begin. */
  get removed(): number {
    return this.#removed
  }

  get(key: string): ObjectRecord | undefined {
    return this.#records.get(key)
  }

  /** Of all records of a kind. */
  uids(kind: string): string[] {
    return [...this.#records].flatMap(([key, { uid }]) => (key.startsWith(`${kind}/`) ? [uid] : []))
  }

  /** Reads what the store has, however long it takes to answer. */
  async load(signal: AbortSignal, clock: Clock, log: Log): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      try {
        for (const [key, value] of await this.#store.load()) this.#show(key, parseRecord(value))
        return
      } catch (error) {
        log.warn({ error: messageOf(error) }, 'directory.store')
        await clock.sleep(1_000, signal)
      }
    }
  }

  /** Plans on what there is once all earlier changes are done, and does it; what the store does not take throws, and stays as it was. */
  change(plan: (records: ReadonlyMap<string, ObjectRecord>) => Steps): Promise<void> {
    const turn = this.#last.then(() => this.#apply(plan(this.#records)))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  async #apply({ puts, deletes }: Steps): Promise<void> {
    const writes = [...puts].map(([key, record]) => async () => {
      await this.#store.put(key, canonical(record))
      this.#show(key, record)
    })
    const removals = deletes.map(key => async () => {
      await this.#store.delete(key)
      this.#records.delete(key)
      this.#removed++
      this.#onChange(key, undefined)
    })
    const all = [...writes, ...removals]
    for (let i = 0; i < all.length; i += AT_ONCE) {
      await Promise.all(all.slice(i, i + AT_ONCE).map(write => write()))
    }
  }

  #show(key: string, record: ObjectRecord): void {
    this.#records.set(key, record)
    this.#onChange(key, record)
  }
}
