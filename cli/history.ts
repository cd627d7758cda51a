import { type Command, Option } from 'commander'
import { OUTCOMES } from '../core/records/state.ts'
import { isForCluster } from './cluster/cluster.ts'
import { toJsonLine } from './escape-controls.ts'
import { type Operator, readHistory } from './operator-client.ts'
import { timestamp, wholeNumber } from './options/parsers.ts'
import { addReachOptions, type ReachFlags, reach } from './options/reach.ts'
import { renderOutcome } from './up/table.ts'

/** `shellcron history`: what ran, when, where and how it ended. */
type HistoryFlags = ReachFlags & {
  allNamespaces?: true
  shellRun?: true
  agent?: string
  outcome?: string
  text?: string
  since?: number
  until?: number
  limit: number
  cursor?: string
  output: 'text' | 'json'
}

export function addHistoryCommand(program: Command): void {
  const command = program
    .command('history')
    .description('list finished attempts, and times that did not run, newest first')
    .argument(
      '[job]',
      'only this ShellCronJob and its ShellRuns: NAMESPACE/NAME, or NAME (in a cluster: of the namespace of the context, otherwise of "default")',
    )
    .option('--shell-run', '[job] names a ShellRun')
    .option('--agent <name>', 'only attempts of this agent')
    .addOption(new Option('--outcome <outcome>', 'only this outcome').choices([...OUTCOMES]))
    .option('--text <text>', 'only with this text in the output, reason or message; ignores case')
    .option('--since <time>', 'only scheduled at this time or later (RFC 3339)', timestamp)
    .option('--until <time>', 'only scheduled before this time (RFC 3339)', timestamp)
    .option('--limit <n>', 'how many lines, up to 1000', wholeNumber(1, 1_000), 20)
    .option('--cursor <cursor>', 'continue where the previous page ended')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text'))
    .action((job: string | undefined, flags: HistoryFlags) => history(job, flags))
  addReachOptions(command, program)
  if (isForCluster(program))
    command.option('-A, --all-namespaces', 'without [job]: of all namespaces that you may read')
}

async function history(job: string | undefined, flags: HistoryFlags): Promise<void> {
  const { operator, namespace } = await reach(flags)
  const { rows, cursor } = await read(operator, queryOf(job, flags, namespace), flags.limit)
  if (flags.output === 'json') {
    process.stdout.write(toJsonLine({ rows, ...(cursor ? { cursor } : {}) }))
    return
  }
  for (const row of rows) process.stdout.write(`${renderOutcome(row)}\n`)
  if (rows.length === 0) process.stderr.write('no results found\n')
  if (cursor) process.stderr.write(`for more, add --cursor ${cursor}\n`)
}

/** Reads pages until the limit is reached: a page with few matches may end early. */
async function read(
  operator: Operator,
  query: Record<string, string>,
  limit: number,
): ReturnType<typeof readHistory> {
  let page = await readHistory(operator, query)
  const rows = [...page.rows]
  while (page.cursor && rows.length < limit) {
    page = await readHistory(operator, { ...query, limit: String(limit - rows.length), cursor: page.cursor })
    rows.push(...page.rows)
  }
  return { rows, ...(page.cursor ? { cursor: page.cursor } : {}) }
}

function queryOf(job: string | undefined, flags: HistoryFlags, own: string): Record<string, string> {
  const [name, namespace = own] = (job ?? '').split('/').toReversed()
  // A cluster has namespaces of many teams.
  const all = flags.state !== undefined || flags.allNamespaces ? {} : { namespace }
  const { agent, outcome, text, since: from, until: to, limit, cursor } = flags
  const of = name ? { namespace, name, kind: flags.shellRun ? 'run' : 'job' } : all
  const asked = { ...of, agent, outcome, text, from, to, limit, cursor }
  return Object.fromEntries(
    Object.entries(asked).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]])),
  )
}
