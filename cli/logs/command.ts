import { type Command, InvalidArgumentError } from 'commander'
import { InvalidInput } from '../../core/errors.ts'
import { systemClock } from '../../platform/clock.ts'
import { durationMs, wholeNumber } from '../options/parsers.ts'
import { socketIn, stateOption } from '../options/state.ts'
import { chosen, hasBegun } from './choose-attempts.ts'
import { type Attempt, readAttempts, readLatest } from './client.ts'
import { followRun, printAttempts } from './follow.ts'
import { createPrinter } from './printer.ts'

/** `shellcron logs`: prints the output of a run. */
interface LogsFlags {
  state: string
  namespace: string
  shellRun?: true
  follow?: true
  attempt?: number
  stdout?: true
  stderr?: true
  timestamps?: true
  prefix?: true
  since?: number
  tail?: number
}

const IN_TRANSIT_MS = 500

export function addLogsCommand(program: Command): void {
  program
    .command('logs')
    .description('print the output of a run, byte for byte: its stdout to stdout, its stderr to stderr')
    .argument(
      '<what>',
      'the id of a run, as `shellcron history` shows it; or a ShellCronJob: its latest run, or that of a ShellRun of it',
    )
    .addOption(stateOption())
    .option('-n, --namespace <namespace>', 'namespace of the job, if <what> is only a name', 'default')
    .option('--shell-run', '<what> names a ShellRun')
    .option('-f, --follow', 'follow until the output ends')
    .option(
      '--attempt <n>',
      'print this attempt (default: the last one that has begun)',
      wholeNumber(1, 999_999_999),
    )
    .option('--stdout', 'print only stdout')
    .option('--stderr', 'print only stderr')
    .option('--timestamps', 'start each line with the time at which it was written')
    .option('--prefix', 'start each line with the id of its run, for a fire on several targets')
    .option('--since <time>', 'only output since this time (RFC 3339), or of the last 90s, 5m or 2h', since)
    .option('--tail <n>', 'only the last lines of each target', wholeNumber(0, 999_999_999))
    .action(async (what: string, flags: LogsFlags) => {
      process.exitCode = (await logs(what, flags)) ? 0 : 1
    })
}

async function logs(what: string, flags: LogsFlags): Promise<boolean> {
  const socket = socketIn(flags.state)
  const run = await runOf(socket, what, flags)
  const attempts = await found(async () => chosen((await readAttempts(socket, run)).attempts, flags.attempt))
  if (attempts.length === 0)
    throw new InvalidInput(
      what,
      flags.attempt
        ? `no attempt ${flags.attempt} of it is known; \`shellcron history\` lists the attempts`
        : 'no such run is known; `shellcron history` lists the runs',
    )
  const { since, tail, timestamps = false } = flags
  const only = flags.stdout === flags.stderr ? undefined : flags.stdout ? 'stdout' : 'stderr'
  const printer = createPrinter({
    out: process,
    timestamps,
    // Output of several runs is mixed line by line, never within a line.
    prefixes: flags.prefix ?? (flags.follow === true && attempts.some(attempt => attempt.run !== run)),
    ...(only ? { only } : {}),
    ...(since === undefined ? {} : { since }),
    ...(tail === undefined ? {} : { tail }),
  })
  const shown = { socket, printer }
  if (!flags.follow) return areGood(await printAttempts(shown, attempts))
  // The last lines are known only once everything so far has been read.
  const from = tail === undefined ? undefined : await printAttempts(shown, attempts.filter(hasOutput))
  return followRun(shown, run, { attempt: flags.attempt, ...(from ? { from } : {}) })
}

async function runOf(
  socket: string,
  what: string,
  { namespace: other, shellRun }: LogsFlags,
): Promise<string> {
  // Names of jobs have no dots; ids of runs have two or more.
  if (what.includes('.')) return what
  const [name = '', namespace = other] = what.split('/').toReversed()
  const run = await readLatest(socket, { kind: shellRun ? 'run' : 'job', namespace, name })
  if (run === undefined)
    throw new InvalidInput(
      what,
      `no run of this ${shellRun ? 'ShellRun' : 'ShellCronJob'} is known: it has not run yet, or does not exist`,
    )
  return run
}

/**
 * An attempt that has just ended is for a moment neither active nor recorded, so this looks twice, also if only the retry after it is
 * known.
 */
async function found(look: () => Promise<Attempt[]>): Promise<Attempt[]> {
  const first = await look()
  const isMissing = first.some(each => each.attempt > 1 && !hasBegun(each))
  if (first.length > 0 && !isMissing) return first
  await systemClock.sleep(IN_TRANSIT_MS)
  return look()
}

function areGood(printed: ReadonlyMap<string, { isGood: boolean }>): boolean {
  return [...printed.values()].every(({ isGood }) => isGood)
}

function hasOutput({ output }: Attempt): boolean {
  return output !== undefined
}

/** A time, or how long ago. Answers Unix ms. */
function since(text: string): number {
  const ago = durationMs(text)
  const time = ago === undefined ? Date.parse(text) : Date.now() - ago
  if (Number.isNaN(time))
    throw new InvalidArgumentError('Use RFC 3339, such as 2026-03-29T01:30:00Z, or a duration such as 5m.')
  return time
}
