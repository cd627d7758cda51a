import { type Command, InvalidArgumentError, Option } from 'commander'
import { InvalidInput } from '../../core/errors.ts'
import { escapeControls } from '../escape-controls.ts'
import { makeJoinToken, putAgent, removeAgent } from '../operator-client.ts'
import { collect, durationMs } from '../options/parsers.ts'
import { socketIn, stateOption } from '../options/state.ts'

interface Flags {
  state: string
  pool: string
  label: string[]
  server?: string
  ttl: string
}

const NOTES = `
Run each line on its server, where the package is installed. A line works once, and
for 15 minutes. A server that has joined before joins again by a new line, which
ends its earlier identity.`

export function addJoinCommandCommand(program: Command): void {
  program
    .command('join-command')
    .description('print, for each name, the line by which a server joins the fleet')
    .argument('<names...>', 'names of the servers, which become the names of their agents')
    .addOption(stateOption())
    .option('--pool <pool>', 'pool of the agents', 'default')
    .addOption(
      new Option('--label <name=value>', 'label of the agents, for selectors of jobs; repeatable')
        .argParser(collect)
        .default([], 'none'),
    )
    .option('--server <url>', 'URL of the operator for the servers (default: as it was started)')
    .option('--ttl <duration>', 'how long the line works', '15m')
    .addHelpText('after', NOTES)
    .action(async (names: string[], flags: Flags) => {
      const socket = socketIn(flags.state)
      const labels = Object.fromEntries(flags.label.map(labelOf))
      const ttlMs = durationMs(flags.ttl)
      if (ttlMs === undefined) throw new InvalidInput('--ttl', 'use a duration such as 15m')
      for (const name of names) {
        await putAgent(socket, name, { pool: flags.pool, labels })
        const made = await makeJoinToken(socket, name, ttlMs / 1_000)
        const server = flags.server ?? made.operator
        if (server === undefined)
          throw new InvalidInput(
            '--server',
            'the operator was started without an address for other servers: start `shellcron up` with --listen',
          )
        process.stdout.write(`${escapeControls(`sudo shellcron join ${server} ${made.token}`)}\n`)
      }
    })
}

export function addRemoveAgentCommand(program: Command): void {
  program
    .command('remove-agent')
    .description(
      'without Kubernetes: remove an agent that join-command has made. It claims and reads nothing any more',
    )
    .argument('<name>', 'name of the agent')
    .addOption(stateOption())
    .action(async (name: string, { state }: { state: string }) => {
      await removeAgent(socketIn(state), name)
      process.stdout.write(`${escapeControls(name)}: removed\n`)
    })
}

function labelOf(text: string): [string, string] {
  const equals = text.indexOf('=')
  if (equals <= 0) throw new InvalidArgumentError(`"${text}" is no label; use NAME=VALUE.`)
  return [text.slice(0, equals), text.slice(equals + 1)]
}
