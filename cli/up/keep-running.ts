import { fileURLToPath } from 'node:url'
import { InvalidInput } from '../../core/errors.ts'
import { type Child, startChild } from '../../platform/child-process.ts'
import { systemClock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'

const RESTART_MS = 1_000
/** The exit code of a part that refuses its settings (cli/main.ts). */
const WRONG_SETTINGS = 2
/** It is started again after the first refusals: what it refuses may be held by a process that is just ending, such as a lock or a port. */
const MOST_REFUSALS = 3
const MESSAGE = /^shellcron: (.*)$/m
/** Starts Node with the flags that each part needs. */
const program = fileURLToPath(new URL('../../bin/shellcron', import.meta.url))

/** The operator or the agent, as a child process. */
export interface Part {
  /** Rejects with InvalidInput, in the words of the part, if the part keeps refusing its settings. Resolves after `stop`. */
  readonly done: Promise<void>
  stop(graceMs: number): Promise<void>
}

export interface PartOptions {
  name: 'operator' | 'agent'
  args: string[]
  env?: NodeJS.ProcessEnv
  say(line: string): void
  /** The first start waits for this promise. */
  after?: Promise<unknown>
}

interface Ended {
  what: string
  /** Why it refuses its settings, if it does. */
  refusal?: string
}

/** Starts a part, and starts it again whenever it ends, until `ending` aborts or the part has refused its settings three times in a row. */
export function keepRunning(of: PartOptions, ending: AbortSignal, startProgram = startChild): Part {
  let child: Child | undefined
  const start = async (): Promise<void> => {
    await of.after
    for (let refusals = 0; !ending.aborted; ) {
      const { what, refusal } = await run(of, startProgram, started => void (child = started))
      if (ending.aborted) return
      refusals = refusal === undefined ? 0 : refusals + 1
      if (refusal !== undefined && refusals === MOST_REFUSALS)
        throw new InvalidInput(of.name, `refuses its settings: ${refusal}`)
      of.say(`the ${of.name} ${what}; restarting it in ${RESTART_MS / 1_000} s`)
      await systemClock.sleep(RESTART_MS, ending).catch(() => undefined)
    }
  }
  const done = start()
  done.catch(() => undefined)
  return {
    done,
    async stop(graceMs) {
      await child?.stop(graceMs)
      await done.catch(() => undefined)
    },
  }
}

/** Resolves when the part has ended, or did not start: the machine may have no room for one more process. */
async function run(
  of: PartOptions,
  startProgram: typeof startChild,
  onStart: (child: Child) => void,
): Promise<Ended> {
  let child: Child
  try {
    child = await startProgram({
      name: of.name,
      command: program,
      args: [of.name, ...of.args],
      onLine: of.say,
      ...(of.env ? { env: of.env } : {}),
    })
  } catch (error) {
    return { what: `did not start: ${messageOf(error)}` }
  }
  onStart(child)
  const { code, signal } = await child.ended
  const what = `ended with ${signal ?? `exit code ${code}`}`
  return code === WRONG_SETTINGS ? { what, refusal: MESSAGE.exec(child.tail())?.[1] ?? what } : { what }
}
