import { isDeepStrictEqual } from 'node:util'
import type { Log } from '../../../platform/log.ts'
import { createListeners } from '../listeners.ts'
import type { Problem } from '../port.ts'

/** The problems of files and of Secrets. Each is logged once when it appears; listeners get all of them after every change. */
export class ProblemReport {
  readonly #log: Log
  readonly #ofSecrets: () => readonly Problem[]
  readonly #listeners
  #ofFiles: readonly Problem[] = []
  #reported: readonly Problem[] = []

  constructor(log: Log, ofSecrets: () => readonly Problem[]) {
    this.#log = log
    this.#ofSecrets = ofSecrets
    this.#listeners = createListeners<readonly Problem[]>(log)
  }

  all(): readonly Problem[] {
    return [...this.#ofFiles, ...this.#ofSecrets()]
  }

  onChange(listener: (problems: readonly Problem[]) => void): () => void {
    return this.#listeners.add(listener)
  }

  setOfFiles(problems: readonly Problem[]): void {
    this.#ofFiles = problems
    this.report()
  }

  report(): void {
    const now = this.all()
    const before = this.#reported
    if (isDeepStrictEqual(now, before)) return
    for (const problem of now)
      if (!before.some(one => isDeepStrictEqual(one, problem)))
        this.#log.warn({ ...problem }, 'directory.problem')
    this.#reported = now
    this.#listeners.notify(now)
  }
}
