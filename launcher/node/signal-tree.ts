import type { Clock } from '../../runtime/clock.ts'
import { membersOf, type Process, processTable, type Root } from './process-table.ts'

/** Killed processes can have forked meanwhile: so often it is looked again. */
const KILL_ROUNDS = 10
const ROUND_MS = 100
/** After ordinary ends the machine's processes are looked through this rarely. */
const SWEEP_EVERY_MS = 250

/** To the command's own process group. False if there is none any more. */
export function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false
  }
}

/**
 * Signals whole trees. A process group is reached at once; what left it (setsid, a daemon) is looked for in the process
 * table, once for all that were asked for in the same turn.
 */
export class TreeSignaller {
  readonly #clock: Clock
  #killing = new Set<Root>()
  #ending: Promise<void> | undefined
  #wanted = new Set<Root>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** SIGTERM to all that belongs to the root; it remembers who they are. */
  terminate(root: Root) {
    signalGroup(root.pid, 'SIGTERM')
    for (const process of strays([root])) signalOne(process, 'SIGTERM')
  }

  /** SIGKILL. Resolves when nothing of it is found any more. */
  async kill(root: Root): Promise<void> {
    if (root.isGroupKnown) signalGroup(root.pid, 'SIGKILL')
    this.#killing.add(root)
    await this.#killAll()
  }

  /** The same for the leftovers of a run that has ended by itself; there is no hurry. */
  sweep(root: Root): Promise<void> {
    this.#wanted.add(root)
    this.#ending ??= this.#clock.sleep(SWEEP_EVERY_MS).then(() => {
      const roots = this.#wanted
      this.#wanted = new Set()
      this.#ending = undefined
      for (const root of roots) this.#killing.add(root)
      return this.#killAll()
    })
    return this.#ending
  }

  async #killAll() {
    await new Promise(resolve => setImmediate(resolve))
    let roots = [...this.#killing]
    this.#killing.clear()
    for (let round = 0; round < KILL_ROUNDS && roots.length > 0; round++) {
      if (round > 0) await this.#clock.sleep(ROUND_MS)
      const found = membersOf(roots, processTable())
      for (const process of [...found.values()].flat()) signalOne(process, 'SIGKILL')
      roots = roots.filter(root => (found.get(root)?.length ?? 0) > 0)
    }
  }
}

/** Who belongs to the roots but is not in their groups. */
function strays(roots: readonly Root[]): Process[] {
  return [...membersOf(roots, processTable())].flatMap(([root, members]) => {
    const outside = members.filter(member => member.group !== root.pid)
    for (const { pid, ticks } of outside) root.strays.set(pid, ticks)
    return outside
  })
}

function signalOne({ pid }: Process, signal: NodeJS.Signals) {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}
