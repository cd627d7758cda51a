import { type ChildProcess, spawn } from 'node:child_process'
import { access } from 'node:fs/promises'
import { type Clock, deadline, systemClock } from './clock.ts'
import { messageOf } from './errors.ts'
import { exists } from './make-once.ts'

/**
 * A child process that never outlives this process, not even if this process is killed with SIGKILL.
 *
 * On Linux the kernel kills the child when its parent dies (PR_SET_PDEATHSIG, set by `setpriv`). Without `setpriv`, a watchdog shell waits
 * for the end of a pipe that only this process holds open, and then kills the child.
 */
export interface Child {
  readonly pid: number
  /** Resolves when it has ended, for whatever reason. */
  readonly ended: Promise<Ending>
  /** How it ended; undefined while it runs. */
  ending(): Ending | undefined
  /** The last lines that it wrote to stdout and stderr. */
  tail(): string
  /** Sends a signal. Has no effect once the child has ended. */
  signal(name: NodeJS.Signals): void
  /** Sends SIGTERM, and SIGKILL after `graceMs` (default: 10 s). */
  stop(graceMs?: number): Promise<Ending>
}

export interface Ending {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface ChildOptions {
  command: string
  args: string[]
  /** For messages; default: the command. */
  name?: string
  cwd?: string
  /** Default: this process's environment. */
  env?: NodeJS.ProcessEnv
  /** Called with each line of stdout and stderr. */
  onLine?: (line: string) => void
  /** Path of util-linux's `setpriv`; default: /usr/bin/setpriv. */
  setpriv?: string
}

const TAIL_LINES = 30
const LONGEST_LINE = 2000
const LAST_OUTPUT_MS = 200

/** The parent is another process if this one died before `setpriv` set the death signal. */
const EXEC_IF_PARENT_LIVES = '[ "$PPID" = "$0" ] || exit 1; exec "$@"'
const WATCHDOG = 'cat >/dev/null; kill -KILL "$0"'

/** Starts a program. Rejects if it does not exist. It has no stdin, and its own process group, so that Ctrl-C does not reach it. */
export async function startChild(options: ChildOptions): Promise<Child> {
  const { setpriv = '/usr/bin/setpriv' } = options
  const hasSetpriv = await exists(setpriv)
  const [command, ...args] = hasSetpriv
    ? [
        setpriv,
        '--pdeathsig',
        'KILL',
        '/bin/sh',
        '-c',
        EXEC_IF_PARENT_LIVES,
        `${process.pid}`,
        options.command,
      ]
    : [options.command]
  if (hasSetpriv && options.command.includes('/')) await access(options.command)
  const child = spawn(command ?? '', [...args, ...options.args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    ...(options.cwd ? { cwd: options.cwd } : {}),
    ...(options.env ? { env: options.env } : {}),
  })
  const ended = new Promise<Ending>(resolve => {
    child.once('exit', (code, signal) => {
      // Its last output arrives after its exit, but processes that it left may hold the pipes open for long.
      const last = deadline(LAST_OUTPUT_MS)
      const done = () => {
        last.done()
        child.stdout.destroy()
        child.stderr.destroy()
        resolve({ code, signal })
      }
      child.once('close', done)
      last.signal.addEventListener('abort', done, { once: true })
    })
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
  if (!hasSetpriv) await startWatchdog(child)
  return childOf(child, ended, options)
}

function childOf(child: ChildProcess, ended: Promise<Ending>, options: ChildOptions): Child {
  const tail = lastLines(child, options.onLine)
  const ending = () =>
    child.exitCode === null && child.signalCode === null
      ? undefined
      : { code: child.exitCode, signal: child.signalCode }
  const signal = (name: NodeJS.Signals) => void (ending() ?? child.kill(name))
  return {
    pid: child.pid ?? 0,
    ended,
    ending,
    tail,
    signal,
    async stop(graceMs = 10_000) {
      const grace = deadline(graceMs)
      grace.signal.addEventListener('abort', () => signal('SIGKILL'), { once: true })
      signal('SIGTERM')
      try {
        return await ended
      } finally {
        grace.done()
      }
    },
  }
}

/** If it cannot be started, the child is killed: nothing would end it with this process. */
async function startWatchdog(child: ChildProcess): Promise<void> {
  const watchdog = spawn('/bin/sh', ['-c', WATCHDOG, `${child.pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watchdog.unref()
  // Before another process can get the same pid.
  child.once('exit', () => watchdog.kill('SIGKILL'))
  await new Promise<void>((resolve, reject) => {
    watchdog.once('spawn', resolve)
    watchdog.once('error', error => {
      child.kill('SIGKILL')
      reject(error)
    })
  })
}

function lastLines(child: ChildProcess, onLine: ChildOptions['onLine']): () => string {
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream?.setEncoding('utf8')
    stream?.on('data', (text: string) => {
      const parts = (rest + text).split('\n')
      rest = (parts.pop() ?? '').slice(0, LONGEST_LINE)
      for (const line of parts) add(line.slice(0, LONGEST_LINE))
    })
    stream?.on('end', () => void (rest && add(rest)))
  }
  const add = (line: string) => {
    lines.push(line)
    if (lines.length > TAIL_LINES) lines.shift()
    onLine?.(line)
  }
  return () => lines.join('\n')
}

export interface WaitOptions {
  /** Limit of the whole wait, ms; default: 60 s. */
  withinMs?: number
  /** Pause between two probes, ms; default: 50. */
  everyMs?: number
  clock?: Clock
  signal?: AbortSignal
}

/** Waits until `probe` resolves to true; an error counts as false. Throws ChildFailed if the child ends first or time is up. */
export async function untilReady(
  child: { name: string; child: Child },
  probe: (signal: AbortSignal) => Promise<boolean>,
  options: WaitOptions = {},
): Promise<void> {
  const { withinMs = 60_000, everyMs = 50, clock = systemClock } = options
  const limit = deadline(withinMs, options.signal)
  let last = 'the probe failed'
  try {
    for (;;) {
      const ending = child.child.ending()
      if (ending) throw new ChildFailed(child, `ended with ${ending.signal ?? ending.code}`)
      try {
        if (await probe(limit.signal)) return
      } catch (error) {
        last = messageOf(error)
      }
      options.signal?.throwIfAborted()
      if (limit.signal.aborted) throw new ChildFailed(child, `is not ready after ${withinMs} ms (${last})`)
      await clock.sleep(everyMs)
    }
  } finally {
    limit.done()
  }
}

/** A child process ended early or is not ready. Its last lines of output are in the message. */
export class ChildFailed extends Error {
  override readonly name = 'ChildFailed'
  constructor(of: { name: string; child: Child }, what: string) {
    super(`${of.name} ${what}\n${of.child.tail()}`)
  }
}
