import { type Cell, cellSchema } from '../../core/records/state.ts'
import type { Batcher } from '../../store/etcd/batcher.ts'
import type { KeyValue } from '../../store/etcd/types.ts'
import { type MaybeAbsent, parseVersioned } from '../../store/protocol/versioned.ts'

/**
 * What this agent knows of cells: from its own transactions and reads, as cells are not watched. It may be old; every use of it
 * compares the revision, so an old one only costs another read.
 */
export interface Cells {
  /** undefined: nothing is known; a `mod` of 0: known to be absent. */
  get(key: string): MaybeAbsent<Cell> | undefined
  /** Takes what a transaction wrote. An older revision does not replace a newer one. */
  wrote(key: string, mod: number, cell: Cell): void
  /** Takes what a transaction read. */
  saw(key: string, item: KeyValue | undefined): MaybeAbsent<Cell>
  /** Takes every cell there is: the others are known to be absent. */
  sawAll(items: readonly KeyValue[]): void
  forget(key: string): void
  /** Reads it now, together with what else is read in this turn. */
  read(key: string): Promise<MaybeAbsent<Cell>>
}

/** `lasts`: is it worth to be remembered? Else it is always read. */
export function createCells(batcher: Batcher, lasts: (key: string) => boolean): Cells {
  /** 'unknown': was known and no longer is. */
  const known = new Map<string, MaybeAbsent<Cell> | 'unknown'>()
  let complete = false
  const saw = (key: string, item: KeyValue | undefined): MaybeAbsent<Cell> => {
    const now = parseVersioned(cellSchema, key, item)
    if (lasts(key)) known.set(key, now)
    return now
  }
  return {
    get(key) {
      const cell = known.get(key)
      if (cell === 'unknown' || !lasts(key)) return undefined
      return cell ?? (complete ? { key, mod: 0, value: undefined } : undefined)
    },
    wrote(key, mod, value) {
      if (!lasts(key)) return
      const before = known.get(key)
      if (!before || before === 'unknown' || before.mod < mod) known.set(key, { key, mod, value })
    },
    saw,
    sawAll(items) {
      for (const item of items) saw(item.key, item)
      complete = true
    },
    forget(key) {
      if (lasts(key)) known.set(key, 'unknown')
    },
    async read(key) {
      const answer = await batcher.txn({ compare: [], then: [{ get: key }] })
      return saw(key, answer.gets[0])
    },
  }
}
