import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { closeSync, existsSync } from 'node:fs'
import type { OutputReader, Pipes } from './pipes.ts'
import type { Arm } from './protocol.ts'
import { findProgram, type StartFailure, startFailure } from './start-failure.ts'
import { type Identity, ownAccount, withGroups } from './users.ts'

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface Command {
  child: ChildProcess
  pid: number
  startedAt: number
  stdout: OutputReader
  stderr: OutputReader
}

/**
 * Starts the command in a session and process group of its own: its environment and nothing else, its three streams and no
 * other descriptor. Two pipes must be ready. Blocks until the command has begun, 2 to 4 ms.
 */
export async function startCommand(
  arm: Arm,
  identity: Identity | undefined,
  pipes: Pipes,
): Promise<Command | StartFailure> {
  const env = environment(arm, identity)
  const argv = withGroups(identity, arm.argv)
  if (argv && !findProgram(arm.argv[0] ?? '', env['PATH'] ?? '', arm.workingDir)) {
    const code = existsSync(arm.argv[0] ?? '') ? 'EACCES' : 'ENOENT'
    return startFailure({ code }, arm)
  }
  const stdout = pipes.open(identity)
  const stderr = pipes.open(identity)
  const startedAt = Date.now()
  const result = await trySpawn(argv ?? arm.argv, {
    cwd: arm.workingDir,
    env,
    detached: true,
    stdio: [arm.stdin === undefined ? 'ignore' : 'pipe', stdout.writer, stderr.writer],
    ...(identity && !argv ? { uid: identity.uid, gid: identity.gid } : {}),
  })
  closeSync(stdout.writer)
  closeSync(stderr.writer)
  if ('error' in result) {
    stdout.reader.stream.destroy()
    stderr.reader.stream.destroy()
    return startFailure(result.error, arm)
  }
  const { child, pid } = result
  child.stdin?.on('error', () => {})
  child.stdin?.end(Buffer.from(arm.stdin ?? '', 'base64'))
  return { child, pid, startedAt, stdout: stdout.reader, stderr: stderr.reader }
}

function environment(arm: Arm, identity: Identity | undefined): Record<string, string> {
  const account = arm.userEnv ? (identity ? identity.account : ownAccount()) : undefined
  const own = account && {
    HOME: account.home,
    USER: account.name,
    LOGNAME: account.name,
    SHELL: account.shell,
  }
  return { PATH: DEFAULT_PATH, ...own, ...arm.env }
}

type Spawned = { child: ChildProcess; pid: number } | { error: unknown }

/** Some failures spawn throws, others it tells in the next tick. */
async function trySpawn(argv: readonly string[], options: SpawnOptions): Promise<Spawned> {
  try {
    const child = spawn(argv[0] ?? '', argv.slice(1), options)
    if (child.pid === undefined) return { error: await new Promise(resolve => child.once('error', resolve)) }
    child.on('error', () => {})
    return { child, pid: child.pid }
  } catch (error) {
    return { error }
  }
}
