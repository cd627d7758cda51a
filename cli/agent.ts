import type { Command } from 'commander'
import { logLevelOption } from './options/log-level.ts'
import { commaSeparated, number } from './options/parsers.ts'
import { trustOwnerOption } from './options/trust-owner.ts'
import { untilStopped } from './until-stopped.ts'

export function addAgentCommand(program: Command): void {
  program
    .command('agent')
    .description('run an agent on this machine')
    .requiredOption('--endpoints <urls>', "etcd's client URLs, separated by commas", commaSeparated)
    .requiredOption('--identity <dir>', 'directory with the certificates and keys that enrolment wrote')
    .requiredOption('--state <dir>', "the agent's state directory: its session, launcher and output spool")
    .option('--name <name>', "the agent's name (default: that of its certificate)")
    .option('--pool <pool>', 'the pool of the agent (default: that of its certificate)')
    .option(
      '--enrol-token-file <file>',
      "for a Kubernetes node: enrol with the pod's projected token of audience shellcron-enrol",
    )
    .option('--ca <file>', "the operator's CA certificate, for --enrol-token-file")
    .option('--prefix <prefix>', 'prefix of every key in etcd (default: "/shellcron/v1/")')
    .option(
      '--local-policy <file>',
      'what this machine allows (default: /etc/shellcron/agent.yaml, if it exists)',
    )
    .option(
      '--operator <url>',
      'the operator, which takes output and renews the certificate: https://HOST:PORT, or unix:PATH',
    )
    .option(
      '--spool-quota <bytes>',
      'how much finished output may wait for the operator, such as 500Mi (default: 1Gi)',
    )
    .option(
      '--pids-limit <n>',
      'how many processes all runs together may have (default: 80 % of what the machine allows)',
      number,
    )
    .option(
      '--runtime-endpoint <urls>',
      'sockets of container runtimes, separated by commas, such as unix:///run/podman/podman.sock (default: the usual paths)',
      commaSeparated,
    )
    .option(
      '--host-namespaces',
      "in a pod: run commands in the host's namespaces. The pod must be privileged, have hostPID, and mount the host's state directory under the same path",
    )
    .option(
      '--drain-seconds <n>',
      'on SIGTERM: wait this long for active runs, kill the rest, and leave the pool (default: leave runs to the next agent)',
      number,
    )
    .option(
      '--ready-file <file>',
      'a file to keep while this agent takes part in its pool, for a readiness probe (default: none)',
    )
    .addOption(trustOwnerOption())
    .addOption(logLevelOption('log level (default: info)'))
    .action(async (options: Record<string, unknown>) => {
      const { main } = await import('../agent/main.ts')
      await main(options, untilStopped())
    })
}
