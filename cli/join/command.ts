import { type Command, Option } from 'commander'
import { InvalidInput } from '../../core/errors.ts'
import { escapeLines } from '../escape-controls.ts'
import { collect, durationMs, number } from '../options/parsers.ts'
import { untilStopped } from '../until-stopped.ts'

const ETC = '/etc/shellcron'
const STATE = '/var/lib/shellcron'
const DEFAULT_USER = 'nobody'

interface Flags {
  etc: string
  state: string
}

export function addJoinCommand(program: Command): void {
  placed(program.command('join'))
    .description('join this machine to a fleet, with the line that `shellcron join-command` prints')
    .argument('<url>', "the operator's URL")
    .argument('<token>', 'the token, which works once')
    .option('--allow-root', 'allow commands on this host as any user, root included')
    .addOption(
      new Option(
        '--allow-user <user>',
        `allow commands on this host as this user; * matches any characters; repeatable (default: ${DEFAULT_USER})`,
      ).argParser(collect),
    )
    .option('--foreground', 'run the agent in this process, until it is stopped')
    .option('--no-start', 'do not start the agent')
    .option('--timeout <duration>', 'how long the first heartbeat may take', '60s')
    .action(async (url: string, token: string, flags: JoinFlags) => {
      const withinMs = durationMs(flags.timeout)
      if (withinMs === undefined) throw new InvalidInput('--timeout', 'use a duration such as 60s')
      const { join, main } = await import('../../agent/main.ts')
      process.exitCode = await join({
        url,
        token,
        places: flags,
        allowRoot: flags.allowRoot ?? false,
        allowUsers: flags.allowUser ?? [DEFAULT_USER],
        start: flags.foreground ? 'foreground' : flags.start ? 'unit' : 'no',
        withinMs,
        say,
        runAgent: settings => main(settings, untilStopped()),
      })
    })
}

interface JoinFlags extends Flags {
  allowRoot?: true
  allowUser?: string[]
  foreground?: true
  start: boolean
  timeout: string
}

export function addLeaveCommand(program: Command): void {
  placed(program.command('leave'))
    .description('undo `shellcron join`: end the runs, the agent and its identity, and remove its files')
    .option('--drain-seconds <n>', 'how long active runs may go on', number, 60)
    .action(async (flags: Flags & { drainSeconds: number }) => {
      const { leave, main } = await import('../../agent/main.ts')
      const { drainSeconds } = flags
      process.exitCode = await leave({ places: flags, drainSeconds, say, runAgent: main })
    })
}

function placed(command: Command): Command {
  return command
    .option('--etc <dir>', "directory of the agent's identity and settings", ETC)
    .option('--state <dir>', "the agent's state directory", STATE)
}

function say(line: string): void {
  process.stdout.write(`${escapeLines(line)}\n`)
}
