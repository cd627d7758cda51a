import { fileURLToPath } from 'node:url'
import { type Child, startChild } from '../../platform/child-process.ts'
import { systemClock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'

const RESTART_MS = 1_000
/** Starts Node with the flags that each part needs. */
const program = fileURLToPath(new URL('../../bin/shellcron', import.meta.url))

/** The operator or the agent, as a child process. */
export interface Part {
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

/** Starts a part, and starts it again whenever it ends, until `ending` aborts. */
export function keepRunning(of: PartOptions, ending: AbortSignal, startProgram = startChild): Part {
  let child: Child | undefined
  /** Resolves when it has ended, or did not start: the machine may have no room for one more process. */
  const run = async (): Promise<string> => {
    try {
      child = await startProgram({
        name: of.name,
        command: program,
        args: [of.name, ...of.args],
        onLine: of.say,
        ...(of.env ? { env: of.env } : {}),
      })
    } catch (error) {
      return `did not start: ${messageOf(error)}`
    }
    const { code, signal } = await child.ended
    return `ended with ${signal ?? `exit code ${code}`}`
  }
  const start = async (): Promise<void> => {
    await of.after
    while (!ending.aborted) {
      const what = await run()
      if (ending.aborted) return
      of.say(`the ${of.name} ${what}; restarting it in ${RESTART_MS / 1_000} s`)
      await systemClock.sleep(RESTART_MS, ending).catch(() => undefined)
    }
  }
  const running = start()
  return {
    async stop(graceMs) {
      await child?.stop(graceMs)
      await running
    },
  }
}
