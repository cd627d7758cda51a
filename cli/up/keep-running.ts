import { fileURLToPath } from 'node:url'
import { type Child, startChild } from '../../platform/child-process.ts'
import { systemClock } from '../../platform/clock.ts'

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
export function keepRunning(of: PartOptions, ending: AbortSignal): Part {
  let child: Child | undefined
  const start = async (): Promise<void> => {
    await of.after
    while (!ending.aborted) {
      child = await startChild({
        name: of.name,
        command: program,
        args: [of.name, ...of.args],
        onLine: of.say,
        ...(of.env ? { env: of.env } : {}),
      })
      const { code, signal } = await child.ended
      if (ending.aborted) return
      of.say(
        `the ${of.name} ended with ${signal ?? `exit code ${code}`}; restarting it in ${RESTART_MS / 1_000} s`,
      )
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
