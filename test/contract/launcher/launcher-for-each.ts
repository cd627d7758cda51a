import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import type { Arm } from '../../../agent/launcher/messages.ts'
import { type Bench, bench, type Connected, eventually, farAway, isAlive, SESSION } from './launcher.ts'

/** A launcher in its own directory, and a connection to it. `launcher` and `stateDir` are set when the first test begins; the functions are set at once. */
export interface HeldLauncher extends Connected {
  stateDir: string
  run(...orders: Arm[]): void
  /** Fields of an order: a mark that no other process on the machine has. The launcher kills every process that has it. */
  marked(): { mark: string; env: { RUN: string } }
  /** Connects again. If no launcher is running, starts one with `by` or else the usual command; the new launcher has no fence yet. */
  connect(by?: readonly string[]): Promise<void>
  /** Kills the launcher with SIGKILL. */
  crash(): Promise<void>
}

/** A new launcher for each test of the block, with a fence that is far away. */
export function launcherForEach(command: readonly string[]): HeldLauncher {
  const { held, begin, end } = heldLauncher()
  beforeEach(() => begin(bench(command)))
  afterEach(end)
  return held
}

/** One launcher for all tests of the block, started in the bench that `start` returns, with a fence for `session` that is far away. */
export function launcherForAll(start: () => Bench | Promise<Bench>, session = SESSION): HeldLauncher {
  const { held, begin, end } = heldLauncher()
  beforeAll(async () => begin(await start(), session))
  afterAll(end)
  return held
}

function heldLauncher() {
  let current: Bench | undefined
  const held = {
    run: (...orders) => held.launcher.arm(orders),
    marked: () => ({ mark: `RUN=${held.stateDir}`, env: { RUN: held.stateDir } }),
    connect: async by => void Object.assign(held, await current?.connect(by)),
    async crash() {
      const { pid } = held.launcher
      process.kill(pid, 'SIGKILL')
      await eventually('the launcher is dead', () => !isAlive(pid))
    },
  } as HeldLauncher
  return {
    held,
    async begin(started: Bench, session = SESSION): Promise<void> {
      current = started
      held.stateDir = started.stateDir
      await held.connect()
      held.launcher.fence(session, farAway())
    },
    end: () => current?.end(),
  }
}
