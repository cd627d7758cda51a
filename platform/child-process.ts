import { type ChildProcess, spawn } from 'node:child_process'
import { access } from 'node:fs/promises'
import { type Clock, deadline, systemClock } from './clock.ts'
import { messageOf } from './errors.ts'
import { exists } from './make-once.ts'

/**
 * A program that runs as long as we do, and never longer: not even if we are killed with SIGKILL.
 *
 * On Linux the kernel kills it when we are gone (PR_SET_PDEATHSIG, set by `setpriv`). Where there is no `setpriv`, a shell waits for the
 * end of a pipe that only we hold open, and then kills it.
 */
export interface Child {
  readonly pid: number
  /** Resolves when it has ended, whoever ended it. */
  readonly ended: Promise<Ending>
  /** How it ended; undefined while it runs. */
  ending(): Ending | undefined
  /** The last lines that it wrote to stdout and stderr. */
  tail(): string
  /** No effect once it has ended. */
  signal(name: NodeJS.Signals): void
  /** SIGTERM, and SIGKILL after `graceMs` (default: 10 s). */
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
  /** Default: our own. */
  env?: NodeJS.ProcessEnv
  /** Gets each line of stdout and stderr. */
  onLine?: (line: string) => void
  /** Where `setpriv` of util-linux is; default: /usr/bin/setpriv. */
  setpriv?: string
}

const TAIL_LINES = 30
const LONGEST_LINE = 2000
const LAST_WORDS_MS = 200

/** If we died before `setpriv` had told the kernel, the parent is another one already. */
const BORN_IN_TIME = '[ "$PPID" = "$0" ] || exit 1; exec "$@"'
const WATCH = 'cat >/dev/null; kill -KILL "$0"'

/** Starts a program; rejects if there is no such program. It gets no stdin, and a process group of its own: Ctrl-C is for us. */
export async function startChild(options: ChildOptions): Promise<Child> {
  const { setpriv = '/usr/bin/setpriv' } = options
  const tied = await exists(setpriv)
  const [command, ...args] = tied
    ? [setpriv, '--pdeathsig', 'KILL', '/bin/sh', '-c', BORN_IN_TIME, `${process.pid}`, options.command]
    : [options.command]
  if (tied && options.command.includes('/')) await access(options.command)
  const child = spawn(command ?? '', [...args, ...options.args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    ...(options.cwd ? { cwd: options.cwd } : {}),
    ...(options.env ? { env: options.env } : {}),
  })
  const ended = new Promise<Ending>(resolve => {
    child.once('exit', (code, signal) => {
      // Its last words come after it; but what it left behind may hold the pipes open for long.
      const last = deadline(LAST_WORDS_MS)
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
  if (!tied) killWithUs(child)
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

function killWithUs(child: ChildProcess): void {
  const watchdog = spawn('/bin/sh', ['-c', WATCH, `${child.pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watchdog.unref()
  watchdog.once('error', () => {})
  // Before the number of the process can be another's.
  child.once('exit', () => watchdog.kill('SIGKILL'))
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

export interface Patience {
  /** For the whole wait, ms; default: 60 s. */
  withinMs?: number
  /** Between two probes, ms; default: 50. */
  everyMs?: number
  clock?: Clock
  signal?: AbortSignal
}

/** Waits until `probe` says true; what it throws counts as no. If the child ends first, or time is up, it throws with the child's last words. */
export async function untilReady(
  child: { name: string; child: Child },
  probe: (signal: AbortSignal) => Promise<boolean>,
  patience: Patience = {},
): Promise<void> {
  const { withinMs = 60_000, everyMs = 50, clock = systemClock } = patience
  const limit = deadline(withinMs, patience.signal)
  let last = 'it said no'
  try {
    for (;;) {
      const ending = child.child.ending()
      if (ending) throw new ChildFailed(child, `ended with ${ending.signal ?? ending.code}`)
      try {
        if (await probe(limit.signal)) return
      } catch (error) {
        last = messageOf(error)
      }
      patience.signal?.throwIfAborted()
      if (limit.signal.aborted) throw new ChildFailed(child, `is not ready after ${withinMs} ms (${last})`)
      await clock.sleep(everyMs)
    }
  } finally {
    limit.done()
  }
}

/** A program that we need did not start. Its last lines are in the message. */
export class ChildFailed extends Error {
  override readonly name = 'ChildFailed'
  constructor(of: { name: string; child: Child }, what: string) {
    super(`${of.name} ${what}\n${of.child.tail()}`)
  }
}
