import type { Command } from 'commander'
import { secretFromEnvOption } from './options/secret-from-env.ts'
import { untilStopped } from './until-stopped.ts'

export function addOperatorCommand(program: Command): void {
  program
    .command('operator')
    .description('run the operator: of a cluster, or with --directory of a directory of YAML files')
    .requiredOption('--endpoints <urls>', 'of etcd, separated by commas', list)
    .option('--state <dir>', "the operator's own directory: keys (with --directory) and the log store")
    .option('--directory <dir>', 'standalone: read objects from here instead of a Kubernetes API server')
    .option('--kubeconfig <file>', 'default: the in-cluster configuration')
    .option('--etcd-identity <dir>', 'ca.crt, tls.crt and tls.key for etcd; default: made by the operator')
    .option('--prefix <prefix>', 'of the keys in etcd')
    .option('--status-writes <n>', 'at most so many statuses are written in a second; default: 20', Number)
    .option('--retention-days <n>', 'the log store keeps results so long; default: 90; 0: for ever', Number)
    .option('--retention-bytes <size>', 'the log store keeps so much output; default: 20Gi; 0: all')
    .option('--log-store <where>', 'a file, or postgres://user@host/database; default: a file in --state')
    .option('--log-store-password-file <file>', 'holds the password for --log-store postgres://…')
    .option('--health <host:port>', 'where /healthz and /readyz are served')
    .addOption(secretFromEnvOption())
    .option('--ingest <host:port>', 'where agents bring output; without it none is taken')
    .option('--ingest-names <names>', 'under which agents reach it, separated by commas', list)
    .option('--log-level <level>', 'debug, info, warn, error or silent')
    .action(async (options: Record<string, unknown>) => {
      const { main } = await import('../operator/main.ts')
      await main(options, untilStopped())
    })
}

function list(text: string): string[] {
  return text.split(',').filter(part => part !== '')
}
