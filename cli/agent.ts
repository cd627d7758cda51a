import type { Command } from 'commander'
import { untilStopped } from './until-stopped.ts'

export function addAgentCommand(program: Command): void {
  program
    .command('agent')
    .description('run an agent on this machine')
    .requiredOption('--endpoints <urls>', 'of etcd, separated by commas', list)
    .requiredOption('--identity <dir>', 'the directory that enrolment filled')
    .requiredOption('--state <dir>', "the agent's own directory: its session, its launcher and its spool")
    .option('--name <name>', 'default: the host name in lower case')
    .option('--pool <pool>', 'default: default')
    .option('--prefix <prefix>', 'of the keys in etcd')
    .option(
      '--local-policy <file>',
      'what this machine allows; default: /etc/shellcron/agent.yaml if it exists',
    )
    .option('--operator <url>', 'where output goes: the ingest of the operator, https://HOST:PORT')
    .option('--spool-quota <bytes>', 'of output that waits to be stored, such as 500Mi; default: 1Gi')
    .option(
      '--runtime-endpoint <urls>',
      'of container runtimes, separated by commas, such as unix:///run/podman/podman.sock; default: the well-known ones',
      list,
    )
    .option(
      '--host-namespaces',
      "in a pod: commands run on the host. Needs hostPID, privileges, and the host's state directory under the same path",
    )
    .option(
      '--drain-seconds <n>',
      'when told to end: wait so long for runs, kill the others, leave for good',
      Number,
    )
    .option('--log-level <level>', 'debug, info, warn, error or silent')
    .action(async (options: Record<string, unknown>) => {
      const { main } = await import('../agent/main.ts')
      await main(options, untilStopped())
    })
}

function list(text: string): string[] {
  return text.split(',').filter(part => part !== '')
}
