import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { bootId } from '../../platform/boottime.ts'
import { type Clock, systemClock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import { flock } from '../../platform/flock.ts'
import { createLog, type Log } from '../../platform/log.ts'
import { clearGroups } from './cgroups.ts'
import { closeInherited } from './descriptors.ts'
import { endedEntry } from './entry.ts'
import { Journal } from './journal.ts'
import { settleLeftovers } from './leftovers.ts'
import { Pipes } from './pipes.ts'
import { hasGone, readProcess } from './process-table.ts'
import { listen } from './server.ts'
import { TreeSignaller } from './signal-tree.ts'
import { Supervisor } from './supervisor.ts'

const USAGE = 'usage: main.ts --state DIR [--die-with PID] [--build ID]'
const LOOK_FOR_PARENT_MS = 500
/** What commands are born with, whatever whoever started us has. */
const USUAL_UMASK = 0o022

/**
 * The launcher in TypeScript: for machines without the native one.
 *
 *     --state DIR      where its socket, journal, spools and lock lie; it must exist, and has one launcher
 *     --die-with PID   kill all runs and end when this process is gone
 *     --build ID       told in `hello`: which program this is to whoever started it
 */
async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { state: { type: 'string' }, 'die-with': { type: 'string' }, build: { type: 'string' } },
  })
  if (values.state === undefined) throw new Error(USAGE)
  const stateDir = values.state
  closeInherited()
  process.umask(USUAL_UMASK)
  const log = createLog('info', { component: 'launcher', pid: process.pid })
  const lock = await flock(join(stateDir, 'launcher.lock'))
  if (lock.kind === 'held') {
    log.info({ stateDir }, 'launcher.alreadyRuns')
    return 0
  }
  await serve(stateDir, log, { parent: values['die-with'], build: values.build })
  return 0
}

async function serve(
  stateDir: string,
  log: Log,
  { parent, build }: { parent: string | undefined; build: string | undefined },
) {
  const clock = systemClock
  const spoolDir = join(stateDir, 'spool')
  const notesDir = resolve(stateDir, 'notes')
  for (const dir of [spoolDir, notesDir]) makeFolder(dir)
  const journal = new Journal(join(stateDir, 'launcher.journal'), error =>
    log.error({ error: messageOf(error) }, 'journal.unwritable'),
  )
  const signaller = new TreeSignaller(clock)
  const left = await settleLeftovers(journal, { spoolDir, notesDir }, signaller)
  await clearGroups(stateDir, clock)
  const pipes = new Pipes(join(stateDir, 'pipes'))
  const supervisor = new Supervisor(
    { clock, log, journal, pipes, signaller, spoolDir, notesDir },
    left.map(({ record, at, fenced }) => endedEntry(record, at, fenced)),
  )
  const ending = new AbortController()
  endOnSignals(supervisor, log)
  const instance = `${bootId()}/${randomBytes(8).toString('hex')}`
  const server = await listen(join(stateDir, 'launcher.sock'), {
    supervisor,
    clock,
    log,
    instance,
    spoolDir,
    ...(build === undefined ? {} : { build }),
  })
  log.info({ instance, left: left.length }, 'launcher.ready')
  const working = supervisor.work(ending.signal)
  if (parent !== undefined) void dieWith(Number(parent), supervisor, clock, ending.signal)
  await Promise.race([supervisor.stopped, working])
  ending.abort()
  await server.close()
  log.info({}, 'launcher.ended')
}

/** Where that fails, on a full disk, whoever writes there makes it. */
function makeFolder(dir: string) {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
  } catch {
    // What is in there is looked for first.
  }
}

/** The machine goes down, or somebody ends this process by hand: runs must not live on unwatched. */
function endOnSignals(supervisor: Supervisor, log: Log) {
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      log.info({ signal }, 'launcher.signalled')
      supervisor.stop(false)
    })
  process.on('SIGHUP', () => {})
  for (const event of ['uncaughtException', 'unhandledRejection'])
    process.on(event, (error: unknown) => {
      supervisor.killAllNow()
      log.error({ error: error instanceof Error ? error.stack : String(error) }, 'launcher.broken')
      process.exit(1)
    })
}

async function dieWith(pid: number, supervisor: Supervisor, clock: Clock, signal: AbortSignal) {
  const ticks = readProcess(pid)?.ticks
  const isAlive = () => {
    try {
      process.kill(pid, 0)
      return ticks === undefined || !hasGone(pid, ticks)
    } catch {
      return false
    }
  }
  while (!signal.aborted && isAlive()) await clock.sleep(LOOK_FOR_PARENT_MS, signal).catch(() => {})
  supervisor.stop(false)
}

main().then(
  code => process.exit(code),
  error => {
    process.stderr.write(`launcher: ${messageOf(error)}\n`)
    process.exit(1)
  },
)
