import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, isAbsolute, join } from 'node:path'
import type { Clock } from '../../platform/clock.ts'
import { killOne, pidsIn, removeGroup } from './cgroups.ts'
import type { Arm } from './protocol.ts'

/** No other group may be named: a note must not kill the machine. */
const PREFIX = 'shellcron-'
const LONGEST = 64 * 1024
const CLEAR_ROUNDS = 40
const CLEAR_ROUND_MS = 25

/**
 * A file in which a run that may leave notes tells, a line each,
 *
 *     cgroup PATH   what is in that group, or below, belongs to the run's tree
 *     told TEXT     goes into its exit record
 *
 * They lie in a folder beside the spools, under the same names, and go with them.
 */
export class Notes {
  readonly path: string
  #groups: string[] | undefined

  constructor(path: string) {
    this.path = path
  }

  get hasGroups(): boolean {
    return this.#named().length > 0
  }

  /** The processes in the control groups that it has named so far. */
  pids(): number[] {
    return this.#named().flatMap(pidsIn)
  }

  /** For when nothing is left in there: who has just died may keep a group for a moment. Then it is false. */
  removeGroups(): boolean {
    return this.#named().filter(group => !removeGroup(group)).length === 0
  }

  /**
   * Ends what is left in its groups; what will not die in a second stays. It is for after the command's end, when nobody makes more of
   * them, and before that is told: then no later launcher has to find them.
   */
  async clearGroups(clock: Clock): Promise<void> {
    for (let round = 0; round < CLEAR_ROUNDS; round++) {
      for (const pid of this.pids()) killOne(pid)
      if (this.removeGroups()) return
      await clock.sleep(CLEAR_ROUND_MS)
    }
  }

  /** Of a run that writes no more: the file may go before the tree is dead. */
  readTold(): string | undefined {
    this.#groups = this.#named()
    return this.#lines().findLast(([kind]) => kind === 'told')?.[1]
  }

  #named(): string[] {
    if (this.#groups) return this.#groups
    return this.#lines()
      .filter(([kind, path]) => kind === 'cgroup' && isAbsolute(path) && basename(path).startsWith(PREFIX))
      .map(([, path]) => path)
  }

  /** A last line that is not whole is none. */
  #lines(): [kind: string, rest: string][] {
    try {
      const text = readFileSync(this.path, 'utf8')
      if (text.length > LONGEST) return []
      return text
        .split('\n')
        .slice(0, -1)
        .map(line => {
          const space = line.indexOf(' ')
          return [line.slice(0, space), line.slice(space + 1)]
        })
    } catch {
      return []
    }
  }
}

/** What the runs that have left notes in this folder have named; what is dead already is no more. */
export function killAllNoted(dir: string) {
  for (const name of existsSync(dir) ? readdirSync(dir) : [])
    for (const pid of new Notes(join(dir, name)).pids()) killOne(pid)
}

/** An empty file, for the launcher's own user. */
export function makeNotes(path: string): Notes {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  closeSync(openSync(path, 'w', 0o600))
  return new Notes(path)
}

/** The order, with the place of its notes in its environment. */
export function withNotes(arm: Arm, { path }: Notes): Arm {
  return { ...arm, env: { ...arm.env, SHELLCRON_NOTES: path } }
}
