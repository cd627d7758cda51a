import { ownTargets } from '../../core/fires/placement.ts'
import { type CellRef, WAVE } from '../../core/keys.ts'
import type { JobEntry } from '../../core/records/entry.ts'
import type { Cell } from '../../core/records/state.ts'
import type { Context } from '../context.ts'

type Deps = Pick<Context, 'keys' | 'mirrors'>

/** The targets that the sweep watches, by cell key. In mode All the targets are the cells that have not retired. */
export class Targets {
  readonly #deps: Deps
  readonly #refs = new Map<string, CellRef>()
  /** Mostly one target: a set for each of ten thousand jobs would be 200 bytes. */
  readonly #byJob = new Map<string, string | Set<string>>()

  constructor(deps: Deps) {
    this.#deps = deps
  }

  get(cellKey: string): CellRef | undefined {
    return this.#refs.get(cellKey)
  }

  /** `entry` undefined: the job is gone. Returns the cell keys that it has now, and those that it no longer has. */
  jobChanged(jobKey: string, entry: JobEntry | undefined): { present: Set<string>; removed: string[] } {
    const before = this.#cellsOf(jobKey)
    const present = new Set<string>()
    for (const ref of entry ? refsOf(this.#deps, entry) : []) {
      const cellKey = this.#deps.keys.cell(ref)
      this.#refs.set(cellKey, ref)
      present.add(cellKey)
    }
    const removed = [...before].filter(cellKey => !present.has(cellKey))
    for (const cellKey of removed) this.#refs.delete(cellKey)
    this.#setCells(jobKey, present)
    return { present, removed }
  }

  #cellsOf(jobKey: string): Set<string> {
    const cells = this.#byJob.get(jobKey)
    return typeof cells === 'string' ? new Set([cells]) : (cells ?? new Set())
  }

  #setCells(jobKey: string, cells: Set<string>): void {
    const [first] = cells
    if (first === undefined) this.#byJob.delete(jobKey)
    else this.#byJob.set(jobKey, cells.size === 1 ? first : cells)
  }

  /** For mode All: adds or removes the target of a cell. Returns whether it is a target now. */
  cellChanged(cellKey: string, ref: CellRef): boolean {
    const { keys, mirrors } = this.#deps
    const cell = mirrors.cells.get(cellKey)?.value
    if (!cell || !isTargetCell(ref, cell)) {
      this.#refs.delete(cellKey)
      return false
    }
    this.#refs.set(cellKey, ref)
    const jobKey = keys.job(ref)
    this.#setCells(jobKey, this.#cellsOf(jobKey).add(cellKey))
    return true
  }
}

function refsOf({ mirrors }: Deps, entry: JobEntry): CellRef[] {
  const { pool, namespace, name } = entry
  const { placement } = entry.command
  const ref = (target: string): CellRef => ({ pool, kind: 'job', namespace, name, target })
  if (placement.mode !== 'All') return ownTargets(placement).map(ref)
  return mirrors
    .cellsOf('job', namespace, name)
    .filter(cell => cell.ref.pool === pool && cell.value && isTargetCell(cell.ref, cell.value))
    .map(cell => cell.ref)
}

function isTargetCell(ref: CellRef, cell: Pick<Cell, 'retired'>): boolean {
  return ref.target !== WAVE && !cell.retired
}
