import { type Command, Option } from 'commander'
import { logLevelOption } from '../options/log-level.ts'
import { runtimeEndpoints, size, wholeNumber } from '../options/parsers.ts'
import { secretFromEnvOption } from '../options/secret-from-env.ts'
import { trustOwnerOption } from '../options/trust-owner.ts'
import { untilStopped } from '../until-stopped.ts'
import { up } from './up.ts'

export function addUpCommand(program: Command): void {
  program
    .command('up')
    .description('run the jobs of a directory of YAML files on this machine, without a cluster, until Ctrl-C')
    .argument('[directory]', 'directory with ShellCronJobs and other objects in YAML files', '.')
    .option(
      '--state <dir>',
      'directory for keys, etcd, the log store and active runs (default: DIRECTORY/.shellcron)',
    )
    .option('--name <name>', "name of this machine's agent (default: the host name in lower case)")
    .option(
      '--etcd-port <port>',
      'port of the etcd that it starts, on 127.0.0.1 and the address of --listen (default: a free one; with --listen: 2379)',
      wholeNumber(1, 65_535),
    )
    .option(
      '--listen <host[:port]>',
      'address of this machine at which other servers join and reach it (default: this machine alone; port: 9443)',
    )
    .option(
      '--retention-days <n>',
      'how long to keep results; 0 keeps all (default: 90)',
      wholeNumber(0, 999_999),
    )
    .option('--retention-bytes <size>', 'how much output to keep; 0 keeps all (default: 20Gi)', size)
    .option(
      '--runtime-endpoint <urls>',
      'sockets of container runtimes, separated by commas, such as unix:///run/podman/podman.sock (default: the usual paths)',
      runtimeEndpoints,
    )
    .option(
      '--pids-limit <n>',
      'how many processes all runs together may have (default: 80 % of what the machine allows)',
      wholeNumber(1, 999_999_999),
    )
    .addOption(secretFromEnvOption())
    .addOption(trustOwnerOption())
    .addOption(
      new Option(
        '-o, --output <format>',
        'output format (default: table on a terminal, lines elsewhere)',
      ).choices(['table', 'lines', 'json']),
    )
    .addOption(logLevelOption('log level of operator and agent, on stderr').default('error'))
    .action(async (directory: string, options: UpFlags) => {
      const format = options.output ?? (process.stdout.isTTY ? 'table' : 'lines')
      await up({ ...options, directory, format }, untilStopped())
    })
}

interface UpFlags {
  state?: string
  name?: string
  etcdPort?: number
  listen?: string
  retentionDays?: number
  retentionBytes?: string
  runtimeEndpoint?: string[]
  pidsLimit?: number
  secretFromEnv: string[]
  trustOwner: string[]
  output?: 'table' | 'lines' | 'json'
  logLevel: string
}
