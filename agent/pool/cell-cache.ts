import { type Cell, cellSchema } from '../../core/records/state.ts'
import type { Batcher } from '../../store/etcd/batcher.ts'
import type { KeyValue } from '../../store/etcd/types.ts'
import { type MaybeAbsent, parseVersioned } from '../../store/protocol/versioned.ts'

/**
 * The cells that this agent has read or written. Cells are not watched, so a cached cell may be stale. Every use compares the revision, so
 * a stale cell costs only another read.
 */
export interface CellCache {
  /** undefined: not cached. A `mod` of 0: known to be absent. */
  get(key: string): MaybeAbsent<Cell> | undefined
  /** Caches a cell that a transaction wrote. An older revision does not replace a newer one. */
  putWritten(key: string, mod: number, cell: Cell): void
  /** Caches a cell that a transaction read. */
  putRead(key: string, item: KeyValue | undefined): MaybeAbsent<Cell>
  /** Caches all cells of the pool. A cell that is not among them is known to be absent. */
  putAll(items: readonly KeyValue[]): void
  forget(key: string): void
  /** Reads the cell from etcd, in one batch with the other reads of this turn. */
  read(key: string): Promise<MaybeAbsent<Cell>>
}

/** `isCached`: whether to cache the cell under this key. Other cells are read every time. */
export function createCellCache(batcher: Batcher, isCached: (key: string) => boolean): CellCache {
  /** 'forgotten': unlike a missing key, it does not mean that the cell is absent. */
  const cached = new Map<string, MaybeAbsent<Cell> | 'forgotten'>()
  let isComplete = false
  const putRead = (key: string, item: KeyValue | undefined): MaybeAbsent<Cell> => {
    const cell = parseVersioned(cellSchema, key, item)
    if (isCached(key)) cached.set(key, cell)
    return cell
  }
  return {
    get(key) {
      const cell = cached.get(key)
      if (cell === 'forgotten' || !isCached(key)) return undefined
      return cell ?? (isComplete ? { key, mod: 0, value: undefined } : undefined)
    },
    putWritten(key, mod, value) {
      if (!isCached(key)) return
      const before = cached.get(key)
      if (!before || before === 'forgotten' || before.mod < mod) cached.set(key, { key, mod, value })
    },
    putRead,
    putAll(items) {
      for (const item of items) putRead(item.key, item)
      isComplete = true
    },
    forget(key) {
      if (isCached(key)) cached.set(key, 'forgotten')
    },
    async read(key) {
      const answer = await batcher.txn({ compare: [], then: [{ get: key }] })
      return putRead(key, answer.gets[0])
    },
  }
}
