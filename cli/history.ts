import { type Command, InvalidArgumentError, Option } from 'commander'
import { OUTCOMES } from '../core/records/state.ts'
import { readHistory } from './operator-client.ts'
import { socketIn, stateOption } from './options/state.ts'
import { renderOutcome } from './up/table.ts'

/** `shellcron history`: what ran, when, where and how it ended. */
interface HistoryFlags {
  state: string
  shellRun?: true
  agent?: string
  outcome?: string
  text?: string
  since?: string
  until?: string
  limit: string
  cursor?: string
  output: 'text' | 'json'
}

export function addHistoryCommand(program: Command): void {
  program
    .command('history')
    .description('print what has ended, the newest first: every attempt, and times that ran nowhere')
    .argument('[job]', 'only of this ShellCronJob: NAMESPACE/NAME, or NAME in namespace default')
    .addOption(stateOption())
    .option('--shell-run', 'the name is that of a ShellRun')
    .option('--agent <name>', 'only on this machine')
    .addOption(new Option('--outcome <outcome>', 'only what ended so').choices([...OUTCOMES]))
    .option('--text <text>', 'only what says this in its output, reason or message; any case')
    .option('--since <time>', 'scheduled at this time or later; RFC 3339', instant)
    .option('--until <time>', 'scheduled before this time; RFC 3339', instant)
    .option('--limit <n>', 'at most so many, up to 1000', '20')
    .option('--cursor <cursor>', 'go on where a page ended that said so')
    .addOption(new Option('-o, --output <format>', 'what to print').choices(['text', 'json']).default('text'))
    .action(async (job: string | undefined, flags: HistoryFlags) => {
      const query = queryOf(job, flags)
      const { rows, cursor } = await read(socketIn(flags.state), query)
      if (flags.output === 'json') {
        process.stdout.write(`${JSON.stringify({ rows, ...(cursor ? { cursor } : {}) })}\n`)
        return
      }
      for (const row of rows) process.stdout.write(`${renderOutcome(row)}\n`)
      if (rows.length === 0)
        process.stderr.write(query.text ? 'nothing says that\n' : 'nothing has ended yet\n')
      if (cursor) process.stderr.write(`there is more: --cursor ${cursor}\n`)
    })
}

/** A page that looked for what is rare, or for a text, may end before it is full: then the next one goes on. */
async function read(socket: string, query: Record<string, string>): ReturnType<typeof readHistory> {
  const limit = Number(query.limit)
  let page = await readHistory(socket, query)
  const rows = [...page.rows]
  while (page.cursor && rows.length < limit) {
    page = await readHistory(socket, { ...query, limit: String(limit - rows.length), cursor: page.cursor })
    rows.push(...page.rows)
  }
  return { rows, ...(page.cursor ? { cursor: page.cursor } : {}) }
}

function queryOf(job: string | undefined, flags: HistoryFlags): Record<string, string> {
  const [name, namespace = 'default'] = (job ?? '').split('/').toReversed()
  const { agent, outcome, text, since: from, until: to, limit, cursor } = flags
  const of = name ? { namespace, name, kind: flags.shellRun ? 'run' : 'job' } : {}
  const asked = { ...of, agent, outcome, text, from, to, limit, cursor }
  return Object.fromEntries(
    Object.entries(asked).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  )
}

function instant(text: string): string {
  const time = Date.parse(text)
  if (Number.isNaN(time)) throw new InvalidArgumentError('write it as 2026-03-29T01:30:00Z')
  return String(time)
}
