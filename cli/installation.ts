import type { Command } from 'commander'
import { commaSeparated, number, wholeNumber } from './options/parsers.ts'

type Step = 'drain' | 'clean' | 'test'

interface BackupFlags {
  endpoints: string[]
  identity: string
  to: string
  keep: number
  within: number
}

/** `shellcron installation …`: what the Helm chart's hooks and test run. */
export function addInstallationCommand(program: Command): void {
  const group = program
    .command('installation')
    .description("steps of an installation in a cluster, as the Helm chart's hooks run them")
  addStep(group, 'drain', 'release all jobs and runs, so that ShellCron can be removed')
  addStep(group, 'clean', 'remove what the operator made itself, after it has been removed')
    .option('--secrets <names>', 'Secrets to remove, separated by commas', commaSeparated)
    .option('--service <name>', "the operator's Service, whose EndpointSlice is removed")
    .option('--agent-namespace <name>', 'namespace of the agents, with the ConfigMap of the authority')
    .option('--pod <name>', 'the pod of `helm test`')
  addStep(group, 'test', 'whether all agents are Ready, and whether a command runs on one')
    .option(
      '--daemon-sets <names>',
      'DaemonSets of agents: NAMESPACE/NAME, separated by commas',
      commaSeparated,
    )
    .option('--pool <name>', 'pool in which the command runs (default: "default")')
  addBackup(group)
}

function addBackup(group: Command): void {
  group
    .command('backup')
    .description('save a snapshot of etcd to a directory')
    .requiredOption('--endpoints <urls>', "etcd's client URLs, separated by commas", commaSeparated)
    .requiredOption('--identity <dir>', 'directory with ca.crt, tls.crt and tls.key of a user with role root')
    .requiredOption('--to <dir>', 'the directory')
    .option('--keep <n>', 'how many snapshots to keep there', wholeNumber(1, 10_000), 28)
    .option('--within <seconds>', 'how long it may take', wholeNumber(1, 86_400), 3_600)
    .action(async (flags: BackupFlags) => {
      const { backup } = await import('../operator/installation/main.ts')
      await backup(flags)
    })
}

function addStep(group: Command, step: Step, description: string): Command {
  return group
    .command(step)
    .description(description)
    .option('--kubeconfig <file>', 'kubeconfig of the cluster (default: the in-cluster configuration)')
    .option('--namespace <name>', 'namespace of the operator (default: $POD_NAMESPACE)')
    .option('--within <seconds>', 'how long it may take (default: 120)', number)
    .action(async (options: Record<string, unknown>) => {
      const { main } = await import('../operator/installation/main.ts')
      await main(step, options)
    })
}
