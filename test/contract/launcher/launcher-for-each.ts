import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import type { Arm } from '../../../agent/launcher/messages.ts'
import { type Bench, bench, type Connected, eventually, farAway, isAlive, SESSION } from './launcher.ts'

/** A launcher in a directory of its own, and a connection to it; both are there when the first test begins, the functions before. */
export interface HeldLauncher extends Connected {
  stateDir: string
  run(...orders: Arm[]): void
  /** Of an order: a mark that nothing else on the machine has. Whoever has it is ended, of whatever launcher. */
  marked(): { mark: string; env: { RUN: string } }
  /** Connects anew; starts a launcher if none lives: `by` this command in place of its own. That one has no fence yet. */
  connect(by?: readonly string[]): Promise<void>
  /** SIGKILL. */
  crash(): Promise<void>
}

/** New for each test of the block. Its session is fenced far away. */
export function launcherForEach(command: readonly string[]): HeldLauncher {
  const { held, begin, end } = heldLauncher()
  beforeEach(() => begin(bench(command)))
  afterEach(end)
  return held
}

/** One for all tests of the block, which `start` makes. Its `session` is fenced far away. */
export function launcherForAll(start: () => Bench | Promise<Bench>, session = SESSION): HeldLauncher {
  const { held, begin, end } = heldLauncher()
  beforeAll(async () => begin(await start(), session))
  afterAll(end)
  return held
}

function heldLauncher() {
  let on: Bench | undefined
  const held = {
    run: (...orders) => held.launcher.arm(orders),
    marked: () => ({ mark: `RUN=${held.stateDir}`, env: { RUN: held.stateDir } }),
    connect: async by => void Object.assign(held, await on?.connect(by)),
    async crash() {
      const { pid } = held.launcher
      process.kill(pid, 'SIGKILL')
      await eventually('the launcher is dead', () => !isAlive(pid))
    },
  } as HeldLauncher
  return {
    held,
    async begin(started: Bench, session = SESSION): Promise<void> {
      on = started
      held.stateDir = started.stateDir
      await held.connect()
      held.launcher.fence(session, farAway())
    },
    end: () => on?.end(),
  }
}
