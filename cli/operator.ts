import { type Command, Option } from 'commander'
import { logLevelOption } from './options/log-level.ts'
import { collect, commaSeparated, number } from './options/parsers.ts'
import { secretFromEnvOption } from './options/secret-from-env.ts'
import { trustOwnerOption } from './options/trust-owner.ts'
import { untilStopped } from './until-stopped.ts'

export function addOperatorCommand(program: Command): void {
  program
    .command('operator')
    .description('run the operator, for a Kubernetes cluster or a directory of YAML files')
    .requiredOption('--endpoints <urls>', "etcd's client URLs, separated by commas", commaSeparated)
    .option('--state <dir>', "the operator's state directory: the log store, and with --directory its keys")
    .option('--directory <dir>', 'without Kubernetes: read objects from the YAML files in this directory')
    .option('--kubeconfig <file>', 'kubeconfig of the cluster (default: the in-cluster configuration)')
    .option(
      '--etcd-identity <dir>',
      'directory with ca.crt, tls.crt and tls.key for etcd (default: issued by the operator)',
    )
    .option(
      '--etcd-secret <name>',
      "Secret in which to keep a certificate for etcd's members (default: none)",
    )
    .option(
      '--etcd-names <names>',
      'names in that certificate, separated by commas; the first is its common name',
      commaSeparated,
    )
    .option(
      '--etcd-backup-secret <name>',
      'Secret in which to keep a certificate for backups of etcd (default: none)',
    )
    .option('--prefix <prefix>', 'prefix of every key in etcd (default: "/shellcron/v1/")')
    .option(
      '--status-writes <n>',
      'how many statuses to write per second, at most (default: 20; with --directory 200)',
      number,
    )
    .option(
      '--verdict-writes <n>',
      'how many statuses of new and edited objects to write per second, beside the others (default: 100)',
      number,
    )
    .option('--retention-days <n>', 'how long to keep results; 0 keeps all (default: 90)', number)
    .option('--retention-bytes <size>', 'how much output to keep; 0 keeps all (default: 20Gi)')
    .option(
      '--log-store <where>',
      'the log store: a file, or postgres://USER@HOST/DATABASE (default: a file in --state)',
    )
    .option('--log-store-password-file <file>', 'file with the password for --log-store postgres://…')
    .option('--health <host:port>', 'address on which to serve /healthz and /readyz')
    .addOption(secretFromEnvOption())
    .option('--await-agent <name>', 'compile new jobs when this agent is Ready, or a minute later')
    .option(
      '--await-since <ms>',
      'for --await-agent: since when its process must have started, Unix ms',
      number,
    )
    .addOption(
      new Option(
        '--listen <address>',
        'where to serve agents and users, with TLS: HOST:PORT, or unix:PATH; repeatable (default: nowhere)',
      ).argParser(collect),
    )
    .option(
      '--listen-names <names>',
      "more DNS names for the server's certificate, separated by commas",
      commaSeparated,
    )
    .option(
      '--service <name>',
      'in a pod: the Service whose EndpointSlice the operator writes while it leads',
    )
    .option(
      '--external-operator <url>',
      'where servers outside of the cluster reach this operator, such as https://shellcron.example:9443',
    )
    .option('--external-etcd <urls>', 'where they reach etcd, separated by commas', commaSeparated)
    .option(
      '--agent-namespace <namespace>',
      "the namespace of nodes' agents: it gets the ConfigMap shellcron-ca",
    )
    .addOption(
      new Option(
        '--agent-service-account <namespace:name>',
        "a ServiceAccount of nodes' agents, which may enrol; repeatable",
      ).argParser(collect),
    )
    .addOption(trustOwnerOption())
    .addOption(logLevelOption('log level (default: info)'))
    .action(async (options: Record<string, unknown>) => {
      const { main } = await import('../operator/main.ts')
      await main(options, untilStopped())
    })
}
