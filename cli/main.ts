import { Command, CommanderError } from 'commander'
import { InvalidInput } from '../core/errors.ts'
import { Unavailable } from '../platform/errors.ts'
import { version } from '../platform/version.ts'
import { endQuietlyOnClosedPipe } from './closed-pipe.ts'
import { KUBECTL_NAME } from './cluster/cluster.ts'
import { escapeLines } from './escape-controls.ts'

type Add = (program: Command) => void
type Commands = Readonly<Record<string, () => Promise<Add>>>

/** bin/kubectl-shellcron sets it, which kubectl calls for `kubectl shellcron`. */
const IS_KUBECTL = process.env.SHELLCRON_PROGRAM === 'kubectl-shellcron'

/** The commands, in the order of `--help`. */
const COMMANDS: Commands = {
  up: async () => (await import('./up/command.ts')).addUpCommand,
  run: async () => (await import('./run/command.ts')).addRunCommand,
  agents: async () => (await import('./agents.ts')).addAgentsCommand,
  history: async () => (await import('./history.ts')).addHistoryCommand,
  logs: async () => (await import('./logs/command.ts')).addLogsCommand,
  kill: async () => (await import('./kill.ts')).addKillCommand,
  validate: async () => (await import('./validate.ts')).addValidateCommand,
  next: async () => (await import('./next.ts')).addNextCommand,
  explain: async () => (await import('./explain.ts')).addExplainCommand,
  join: async () => (await import('./join/command.ts')).addJoinCommand,
  leave: async () => (await import('./join/command.ts')).addLeaveCommand,
  'join-command': async () => (await import('./join/join-command.ts')).addJoinCommandCommand,
  'remove-agent': async () => (await import('./join/join-command.ts')).addRemoveAgentCommand,
  operator: async () => (await import('./operator.ts')).addOperatorCommand,
  agent: async () => (await import('./agent.ts')).addAgentCommand,
  version: async () => addVersionCommand,
}

/** The commands of `kubectl shellcron`. The others need a machine or a directory, or kubectl itself has them. */
const CLUSTER_COMMANDS = [
  'run',
  'history',
  'logs',
  'agents',
  'join-command',
  'validate',
  'next',
  'explain',
  'version',
]

/** Loads only the command that was asked for: an agent runs on every machine, and must stay small. */
async function program(asked: string | undefined): Promise<Command> {
  const program = new Command(IS_KUBECTL ? KUBECTL_NAME : 'shellcron')
    .description('cron for fleets: every scheduled time ends in exactly one recorded outcome')
    .version(version, '-V, --version', 'print the version')
    .showHelpAfterError('Add --help for the commands and options.')
    .configureOutput({
      outputError: (text, write) => write(escapeLines(text.replace(/^error: /, 'shellcron: '))),
    })
    .enablePositionalOptions()
    .exitOverride()
  const commands = IS_KUBECTL ? clusterCommands() : COMMANDS
  const only = asked !== undefined && Object.hasOwn(commands, asked) ? commands[asked] : undefined
  const adding = only ? [only] : Object.values(commands)
  for (const add of await Promise.all(adding.map(load => load()))) add(program)
  return program
}

function clusterCommands(): Commands {
  return Object.fromEntries(Object.entries(COMMANDS).filter(([name]) => CLUSTER_COMMANDS.includes(name)))
}

function addVersionCommand(program: Command): void {
  program
    .command('version')
    .description('print the version')
    .action(() => void process.stdout.write(`${version}\n`))
}

const WRONG_USE = 2

/** These work until they are stopped, and do not end because their output has no reader. */
const LASTING = ['up', 'operator', 'agent', 'join', 'leave']

if (!LASTING.includes(process.argv[2] ?? '')) endQuietlyOnClosedPipe()
try {
  await (await program(process.argv[2])).parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

/** Prints a user's mistake as one line. Anything else is a bug, and is printed with its stack. */
function report(error: unknown): number {
  // commander has printed the message. Its exit code is 0 for --help and --version.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USE
  if (error instanceof InvalidInput) {
    process.stderr.write(`shellcron: ${escapeLines(`${error.field}: ${error.message}`)}\n`)
    return WRONG_USE
  }
  if (error instanceof Unavailable) {
    process.stderr.write(`shellcron: ${escapeLines(error.message)}\n`)
    return 1
  }
  process.stderr.write(
    `shellcron: ${escapeLines(error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`,
  )
  return 1
}
