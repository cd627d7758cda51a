import type { Entry } from '../../core/records/entry.ts'
import type { Active } from '../../core/records/state.ts'
import type { RunState } from '../../core/runs/attempt-state.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'

/** An attempt of this session that has no recorded end yet. */
export interface SupervisedRun {
  active: Versioned<Active>
  entryKey: string
  /** Its id at the launcher: an attempt under one generation of its template (launch-order.ts). */
  launch: string
  state: RunState
  /** The entry that it was claimed or adopted under: its end is judged by it, and its Secrets are redacted. */
  entry: Entry | undefined
  /** When it should start, as far as this agent knows, Unix ms. */
  startsAt: number
}

/** The runs of a session, by run id and by launch id. */
export class RunTable {
  readonly #byRun = new Map<string, SupervisedRun>()
  readonly #byLaunch = new Map<string, SupervisedRun>()

  get size(): number {
    return this.#byRun.size
  }

  add(run: SupervisedRun): SupervisedRun {
    this.#byRun.set(run.active.value.run, run)
    this.#byLaunch.set(run.launch, run)
    return run
  }

  delete(run: SupervisedRun): void {
    this.#byRun.delete(run.active.value.run)
    this.#byLaunch.delete(run.launch)
  }

  /** Its launch no longer exists; the run stays. */
  deleteLaunch({ launch }: SupervisedRun): void {
    this.#byLaunch.delete(launch)
  }

  get(run: string): SupervisedRun | undefined {
    return this.#byRun.get(run)
  }

  ofLaunch(launch: string): SupervisedRun | undefined {
    return this.#byLaunch.get(launch)
  }

  all(): IterableIterator<SupervisedRun> {
    return this.#byRun.values()
  }
}
