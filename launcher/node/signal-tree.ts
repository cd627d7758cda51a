import type { Clock } from '../../platform/clock.ts'
import { membersOf, type Process, processTable, type Root } from './process-table.ts'

/** Killed processes can have forked meanwhile: so often it is looked again. */
const KILL_ROUNDS = 30
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
  readonly #table: () => Process[]
  /** Of the commands that run. */
  readonly #live = new Set<Root>()
  #terminating = new Set<Root>()
  #killing = new Set<Root>()
  #batch: Promise<void> | undefined
  #sweeping: Promise<void> | undefined
  #wanted = new Set<Root>()

  constructor(clock: Clock, table = processTable) {
    this.#clock = clock
    this.#table = table
  }

  /** The root's command runs, until `unwatch`. */
  watch(root: Root) {
    this.#live.add(root)
  }

  unwatch(root: Root) {
    this.#live.delete(root)
  }

  /** SIGTERM to all that belongs to the root; who has left its group is remembered. */
  terminate(root: Root) {
    this.#terminating.add(root)
    this.#batch ??= this.#signalAll()
  }

  /** SIGKILL. Resolves when nothing of the tree is found any more. */
  kill(root: Root): Promise<void> {
    this.#killing.add(root)
    this.#batch ??= this.#signalAll()
    return this.#batch
  }

  /** The same for the leftovers of a run that has ended by itself; there is no hurry. */
  sweep(root: Root): Promise<void> {
    this.#wanted.add(root)
    this.#sweeping ??= this.#clock.sleep(SWEEP_EVERY_MS).then(() => {
      const roots = this.#wanted
      this.#wanted = new Set()
      this.#sweeping = undefined
      return Promise.all([...roots].map(root => this.kill(root))).then(() => undefined)
    })
    return this.#sweeping
  }

  /** A tree is looked up before its first process ends: orphans have no parent to be known by. */
  async #signalAll() {
    await new Promise(resolve => setImmediate(resolve))
    const terminating = this.#terminating
    const killing = [...this.#killing]
    let roots = killing
    this.#terminating = new Set()
    this.#killing = new Set()
    this.#batch = undefined
    const found = membersOf([...terminating, ...roots], this.#table(), this.#live)
    const spared = new Set(roots.filter(root => this.#isSpared(root)))
    for (const [root, members] of found) {
      if (spared.has(root)) killStrays(root, members)
      else signalMembers(root, members, roots.includes(root) ? 'SIGKILL' : 'SIGTERM')
    }
    for (let round = 0; round < KILL_ROUNDS && roots.length > 0; round++) {
      await this.#clock.sleep(ROUND_MS)
      const left = membersOf(roots, this.#table(), this.#live)
      for (const [root, members] of left) {
        if (this.#isSpared(root)) killStrays(root, members)
        else if (spared.delete(root) && this.#live.has(root)) signalMembers(root, members, 'SIGKILL')
        else for (const member of members) signalOne(member, 'SIGKILL')
      }
      const isDone = (root: Root) =>
        left.get(root)?.length === 0 && !(spared.has(root) && this.#live.has(root))
      roots = roots.filter(root => !isDone(root))
    }
    let held = killing.filter(({ notes }) => notes?.removeGroups() === false)
    for (let round = 0; round < KILL_ROUNDS && held.length > 0; round++) {
      await this.#clock.sleep(ROUND_MS)
      held = held.filter(({ notes }) => notes?.removeGroups() === false)
    }
  }

  #isSpared({ sparedUntil = 0 }: Root): boolean {
    return sparedUntil > this.#clock.monotonic()
  }
}

/** The group is signalled whoever was found: without /proc nobody is. */
function signalMembers(root: Root, members: readonly Process[], signal: NodeJS.Signals) {
  if (root.isGroupKnown) signalGroup(root.pid, signal)
  for (const member of members) {
    if (root.isGroupKnown && member.group === root.pid) continue
    root.strays.set(member.pid, member.ticks)
    signalOne(member, signal)
  }
}

/** All but the command itself, which is spared. */
function killStrays(root: Root, members: readonly Process[]) {
  for (const member of members) if (member.group !== root.pid) signalOne(member, 'SIGKILL')
}

function signalOne({ pid }: Process, signal: NodeJS.Signals) {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}
