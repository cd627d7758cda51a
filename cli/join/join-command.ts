import { type Command, InvalidArgumentError, Option } from 'commander'
import { InvalidInput } from '../../core/errors.ts'
import { addOperatorOptions, type ClusterFlags, isForCluster } from '../cluster/cluster.ts'
import { escapeControls } from '../escape-controls.ts'
import { makeJoinToken, type Operator, putAgent, removeAgent } from '../operator-client.ts'
import { collect, durationMs } from '../options/parsers.ts'
import { socketIn, stateOption } from '../options/state.ts'
import type { AgentWish } from './put-shell-agent.ts'

type Flags = {
  pool?: string
  label: string[]
  url?: string
  ttl: string
} & ({ state: string } | (ClusterFlags & { state?: undefined }))

const NOTES = `
Run each line on its server, where the package is installed. A line works once, and
for 15 minutes. A server that has joined before joins again by a new line, which
ends its earlier identity.`

export function addJoinCommandCommand(program: Command): void {
  const command = program
    .command('join-command')
    .description('print, for each name, the line by which a server joins the fleet')
    .argument('<names...>', 'names of the servers, which become the names of their agents')
    .option('--pool <pool>', 'pool of the agents (default: "default", or the present one)')
    .addOption(
      new Option('--label <name=value>', 'label of the agents, for selectors of jobs; repeatable')
        .argParser(collect)
        .default([], 'none'),
    )
    .option('--url <url>', 'URL by which the servers reach the operator (default: as it was started)')
    .option('--ttl <duration>', 'how long the line works', '15m')
    .addHelpText('after', NOTES)
    .action(async (names: string[], flags: Flags) => await printLines(names, flags))
  if (isForCluster(program)) addOperatorOptions(command)
  else command.addOption(stateOption())
}

async function printLines(names: readonly string[], flags: Flags): Promise<void> {
  const ttlMs = durationMs(flags.ttl)
  if (ttlMs === undefined) throw new InvalidInput('--ttl', 'use a duration such as 15m')
  const { operator, put } = await reachFor(flags)
  const wish: AgentWish = {
    ...(flags.pool === undefined ? {} : { pool: flags.pool }),
    ...(flags.label.length > 0 ? { labels: Object.fromEntries(flags.label.map(labelOf)) } : {}),
  }
  for (const name of names) {
    await put(name, wish)
    const made = await makeJoinToken(operator, name, ttlMs / 1_000)
    const url = flags.url ?? made.operator
    if (url === undefined)
      throw new InvalidInput(
        '--url',
        'the operator was started without an address for other servers: start `shellcron up` with --listen; in the chart, set external.host',
      )
    process.stdout.write(`${escapeControls(`sudo shellcron join ${url} ${made.token}`)}\n`)
  }
}

interface Reached {
  operator: Operator
  put(name: string, wish: AgentWish): Promise<void>
}

/** Over the socket, or in a cluster with the user's own rights. */
async function reachFor(flags: Flags): Promise<Reached> {
  if (flags.state !== undefined) {
    const socket = socketIn(flags.state)
    return { operator: socket, put: (name, wish) => putAgent(socket, name, wish) }
  }
  const [{ connectCluster }, { operatorOf }, { putShellAgent }] = await Promise.all([
    import('../cluster/cluster.ts'),
    import('../cluster/operator.ts'),
    import('./put-shell-agent.ts'),
  ])
  const cluster = await connectCluster(flags)
  return {
    operator: await operatorOf(cluster, flags),
    put: (name, wish) => putShellAgent(cluster, name, wish),
  }
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
