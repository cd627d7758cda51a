import { spawn } from 'node:child_process'
import { closeSync, constants, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../platform/clock.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { LauncherProgram } from './binaries.ts'
import { connectLauncher } from './client.ts'
import { type Detachment, detachedCommand } from './detach.ts'
import type { Launcher } from './launcher.ts'

const READY_WITHIN_MS = 15_000
const LOOK_EVERY_MS = 25
const LIMIT_OPEN_FILES = 'ulimit -Sn "$0"; exec "$@"'
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface LauncherOptions {
  /** The agent's state directory. It holds the launcher's socket, journal, spools and log. Created if it is missing. */
  stateDir: string
  log: Log
  /** The program and its first arguments. `--state DIR` is appended, and `--build` if the program has a build. */
  program: Pick<LauncherProgram, 'command'> & Partial<LauncherProgram>
  /** A process id. When that process is gone, the launcher kills its runs and ends. For agents that must leave nothing behind. */
  dieWith?: number
  /** Users who may own the state directory, besides root and this user. */
  owners?: readonly number[]
  /** Where to detach it to. Without it, the launcher stays in the control group and the namespaces of this process. */
  surroundings?: Detachment
  signal?: AbortSignal
  /**
   * The soft limit of open files that commands inherit, as `ulimit` takes it. Without it they inherit that of this process, which Node has
   * raised to the hard limit.
   */
  openFiles?: string | undefined
}

/**
 * Connects to the launcher of this state directory. If none is running, starts one: detached, in a session of its own, without this
 * process's environment and descriptors, with its stderr in `launcher.log`. If two are started at once, one of them ends. Rejects with
 * Unavailable if none answers in time.
 */
export async function ensureLauncher(options: LauncherOptions): Promise<Launcher> {
  const { signal } = options
  const socket = join(options.stateDir, 'launcher.sock')
  const living = await connectLauncher(socket, signal).catch(() => undefined)
  if (living) return living
  signal?.throwIfAborted()
  const ways = waysOf(options).length
  let way = 0
  const begin = () => start(options, waysOf(options)[way])
  let child = begin()
  const until = systemClock.monotonic() + READY_WITHIN_MS
  for (;;) {
    await systemClock.sleep(LOOK_EVERY_MS, signal)
    const gaveWay = child.gaveWay()
    try {
      return await connectLauncher(socket, signal)
    } catch (cause) {
      const failure = child.failure()
      if (failure && way + 1 < ways) {
        options.log.warn({ why: failure }, 'launcher.startedOtherwise')
        way++
        child = begin()
        continue
      }
      if (failure || systemClock.monotonic() > until) {
        const why = failure ?? messageOf(cause)
        throw new Unavailable(`the launcher did not start: ${why}; see ${options.stateDir}/launcher.log`, {
          cause,
        })
      }
      // It ended because another launcher was serving the directory. That one has ended by now, so start again.
      if (gaveWay) child = begin()
    }
  }
}

/** The command lines that start the launcher, the best first. */
function waysOf(options: LauncherOptions): (readonly string[])[] {
  const { stateDir, dieWith, program, surroundings, openFiles, owners = [] } = options
  const { command, build } = program
  // The launcher raises its own limit, and gives each command the one that it was started with.
  const limited = openFiles === undefined ? [] : ['/bin/sh', '-c', LIMIT_OPEN_FILES, openFiles]
  const line = [...limited, ...command, '--state', stateDir]
  if (build !== undefined) line.push('--build', build)
  if (dieWith !== undefined) line.push('--die-with', String(dieWith))
  for (const owner of owners) line.push('--trust-owner', String(owner))
  if (!surroundings) return [line]
  const unit = `${process.pid}-${systemClock.now().toString(36)}`
  return detachedCommand(surroundings, line, { stateDir, unit, uid: ownUser() })
}

const ownUser = () => process.getuid?.() ?? 0

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants
const LOG_FLAGS = O_APPEND | O_CREAT | O_NOFOLLOW | O_WRONLY

/** If the log cannot be opened, for example on a full disk, the launcher runs without one. A symbolic link in its place is not followed. */
function openLog(path: string): number | 'ignore' {
  try {
    return openSync(path, LOG_FLAGS, 0o600)
  } catch {
    return 'ignore'
  }
}

function start(
  { stateDir, log }: LauncherOptions,
  [program = '', ...args]: readonly string[] = [],
): {
  failure(): string | undefined
  /** Whether it has ended because another launcher serves the directory. */
  gaveWay(): boolean
} {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 })
  const output = openLog(join(stateDir, 'launcher.log'))
  const child = spawn(program, args, {
    cwd: stateDir,
    detached: true,
    // `systemd-run --user` finds the user's systemd there.
    env: { PATH, ...(ownUser() === 0 ? {} : { XDG_RUNTIME_DIR: `/run/user/${ownUser()}` }) },
    stdio: ['ignore', output, output],
  })
  if (output !== 'ignore') closeSync(output)
  let failure: string | undefined
  let gaveWay = false
  child.once('error', error => {
    failure = error.message
  })
  child.once('exit', (code, signal) => {
    if (code === 0) gaveWay = true
    else failure = `it ended with ${signal ?? code}`
  })
  child.unref()
  log.info({ pid: child.pid, command: [program, ...args].join(' ') }, 'launcher.started')
  return { failure: () => failure, gaveWay: () => gaveWay }
}
