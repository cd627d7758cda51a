import { type Command, Option } from 'commander'
import { secretFromEnvOption } from '../options/secret-from-env.ts'
import { untilStopped } from '../until-stopped.ts'
import { up } from './up.ts'

export function addUpCommand(program: Command): void {
  program
    .command('up')
    .description('run the jobs of a directory of YAML files on this machine, without a cluster, until Ctrl-C')
    .argument('[directory]', 'where ShellCronJobs and the like are written', '.')
    .option(
      '--state <dir>',
      'where keys, etcd, the log store and runs are kept; default: DIRECTORY/.shellcron',
    )
    .option('--name <name>', "this machine's agent; default: the host name in lower case")
    .option('--etcd-port <port>', 'of the etcd that it starts, on 127.0.0.1; default: a free one', Number)
    .addOption(secretFromEnvOption())
    .addOption(new Option('-o, --output <format>', 'what to print').choices(['table', 'lines', 'json']))
    .option(
      '--log-level <level>',
      'of operator and agent, to stderr: debug, info, warn, error or silent',
      'error',
    )
    .action(async (directory: string, options: UpFlags) => {
      const format = options.output ?? (process.stdout.isTTY ? 'table' : 'lines')
      await up({ ...options, directory, format }, untilStopped())
    })
}

interface UpFlags {
  state?: string
  name?: string
  etcdPort?: number
  secretFromEnv: string[]
  output?: 'table' | 'lines' | 'json'
  logLevel: string
}
