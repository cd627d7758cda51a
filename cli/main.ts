import { Command, CommanderError } from 'commander'
import { InvalidInput } from '../core/errors.ts'
import { Unavailable } from '../runtime/errors.ts'
import { version } from '../runtime/version.ts'
import { addAgentCommand } from './agent.ts'
import { addExplainCommand } from './explain.ts'
import { addHistoryCommand } from './history.ts'
import { addKillCommand } from './kill.ts'
import { addLogsCommand } from './logs/command.ts'
import { addNextCommand } from './next.ts'
import { addOperatorCommand } from './operator.ts'
import { addRunCommand } from './run.ts'
import { addUpCommand } from './up/command.ts'
import { addValidateCommand } from './validate.ts'

/** One program: `shellcron`. Each command's module adds itself; what needs the operator or the agent is loaded only when it is asked for. */
function program(): Command {
  const program = new Command('shellcron')
    .description('cron for fleets: every scheduled time ends in exactly one recorded outcome')
    .version(version, '-V, --version', 'print the version')
    .showHelpAfterError('(add --help for what there is)')
    .enablePositionalOptions()
    .exitOverride()
  addUpCommand(program)
  addRunCommand(program)
  addHistoryCommand(program)
  addLogsCommand(program)
  addKillCommand(program)
  addValidateCommand(program)
  addNextCommand(program)
  addExplainCommand(program)
  addOperatorCommand(program)
  addAgentCommand(program)
  program
    .command('version')
    .description('print the version')
    .action(() => void process.stdout.write(`${version}\n`))
  return program
}

const WRONG_USE = 2

try {
  await program().parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

/** A user's mistake is one clear line, anything else is a bug and shows where. */
function report(error: unknown): number {
  // Help that was asked for is no mistake.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USE
  if (error instanceof InvalidInput) {
    process.stderr.write(`shellcron: ${error.field}: ${error.message}\n`)
    return WRONG_USE
  }
  if (error instanceof Unavailable) {
    process.stderr.write(`shellcron: ${error.message}\n`)
    return 1
  }
  process.stderr.write(
    `shellcron: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  )
  return 1
}
