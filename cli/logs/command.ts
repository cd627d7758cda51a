import { type Command, InvalidArgumentError } from 'commander'
import { InvalidInput } from '../../core/errors.ts'
import { systemClock } from '../../platform/clock.ts'
import { socketIn, stateOption } from '../options/state.ts'
import { type Attempt, readAttempts, readLatest } from './client.ts'
import { followRun, printAttempts } from './follow.ts'
import { createPrinter } from './printer.ts'

/** `shellcron logs`: what a run wrote. */
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
    .description('print the output of a run: stdout to stdout, stderr to stderr, byte for byte')
    .argument('<what>', 'the id of a run as status and history show it; or a ShellCronJob: its latest run')
    .addOption(stateOption())
    .option('-n, --namespace <namespace>', 'of the job, where its name does not say it', 'default')
    .option('--shell-run', 'the name is that of a ShellRun')
    .option('-f, --follow', 'go on until its output ends')
    .option('--attempt <n>', 'not the last one', whole)
    .option('--stdout', 'only what it wrote to stdout')
    .option('--stderr', 'only what it wrote to stderr')
    .option('--timestamps', 'before each line when it began')
    .option('--prefix', 'before each line the run: of a fire on several targets')
    .option(
      '--since <time>',
      'only what was written since: RFC 3339, or a duration such as 90s, 5m, 2h',
      since,
    )
    .option('--tail <n>', 'only so many of the last lines, of each target', whole)
    .action(async (what: string, flags: LogsFlags) => {
      process.exitCode = (await logs(what, flags)) ? 0 : 1
    })
}

async function logs(what: string, flags: LogsFlags): Promise<boolean> {
  quietWhenNobodyReads()
  const socket = socketIn(flags.state)
  const run = await runOf(socket, what, flags)
  const choose = chooser(flags.attempt)
  const attempts = await found(async () => choose((await readAttempts(socket, run)).attempts))
  if (attempts.length === 0)
    throw new InvalidInput(what, `there is no such run${flags.attempt ? ' or attempt' : ''}`)
  const { since, tail, timestamps = false } = flags
  const only = flags.stdout === flags.stderr ? undefined : flags.stdout ? 'stdout' : 'stderr'
  const printer = createPrinter({
    out: process,
    timestamps,
    // Side by side, lines must not be torn.
    prefixes: flags.prefix ?? (flags.follow === true && attempts.some(attempt => attempt.run !== run)),
    ...(only ? { only } : {}),
    ...(since === undefined ? {} : { since }),
    ...(tail === undefined ? {} : { tail }),
  })
  const shown = { socket, printer }
  if (!flags.follow) return areGood(await printAttempts(shown, attempts))
  // What the tail leaves out has to be seen to its end first.
  const from = tail === undefined ? undefined : await printAttempts(shown, attempts.filter(hasOutput))
  return followRun(shown, run, { choose, ...(from ? { from } : {}) })
}

async function runOf(
  socket: string,
  what: string,
  { namespace: other, shellRun }: LogsFlags,
): Promise<string> {
  // Names of jobs have no dots, ids of runs have two.
  if (what.includes('.')) return what
  const [name = '', namespace = other] = what.split('/').toReversed()
  const run = await readLatest(socket, { kind: shellRun ? 'run' : 'job', namespace, name })
  if (run === undefined) throw new InvalidInput(what, 'it has not run yet, or there is no such object')
  return run
}

/** What has just ended is for a moment neither in flight nor recorded. */
async function found(look: () => Promise<Attempt[]>): Promise<Attempt[]> {
  const first = await look()
  if (first.length > 0) return first
  await systemClock.sleep(IN_TRANSIT_MS)
  return look()
}

/** One attempt of each part of a run. */
function chooser(attempt: number | undefined): (all: Attempt[]) => Attempt[] {
  return all => {
    const byRun = new Map<string, Attempt>()
    for (const each of all) if (attempt === undefined || each.attempt === attempt) byRun.set(each.run, each)
    return [...byRun.values()]
  }
}

function areGood(printed: ReadonlyMap<string, { isGood: boolean }>): boolean {
  return [...printed.values()].every(({ isGood }) => isGood)
}

function hasOutput({ output }: Attempt): boolean {
  return output !== undefined
}

/** `shellcron logs … | head`: whoever has read enough is no fault. */
function quietWhenNobodyReads(): void {
  for (const out of [process.stdout, process.stderr])
    out.on('error', error => {
      if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(0)
      throw error
    })
}

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('write a whole number')
  return Number(text)
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

function since(text: string): number {
  const [, count, unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  const time = count === undefined ? Date.parse(text) : Date.now() - Number(count) * (UNITS[unit] ?? 0)
  if (Number.isNaN(time)) throw new InvalidArgumentError('write it as 2026-03-29T01:30:00Z, or as 5m')
  return time
}
