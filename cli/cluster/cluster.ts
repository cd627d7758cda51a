import type { KubeConfig } from '@kubernetes/client-node'
import type { Command } from 'commander'
import { InvalidInput } from '../../core/errors.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Answer, KubeApi } from '../../platform/kubernetes/api.ts'

/** `kubectl shellcron`: the user's own access to a cluster. */

/** The name under which the program works on a cluster, with the user's kubeconfig. Under its own name it works on a socket. */
export const KUBECTL_NAME = 'kubectl shellcron'

export function isForCluster(program: Command): boolean {
  return program.name() === KUBECTL_NAME
}

/** As parsed. `namespace`: of the objects. */
export interface ClusterFlags {
  kubeconfig?: string
  context?: string
  namespace?: string
  operatorNamespace: string
  operatorService: string
  server?: string
}

export interface Cluster {
  config: KubeConfig
  api: KubeApi
  /** Of the objects, if the command does not name one. */
  namespace: string
}

export function addClusterOptions(command: Command): Command {
  return command
    .option('--kubeconfig <file>', 'the kubeconfig to use (default: as kubectl: $KUBECONFIG, ~/.kube/config)')
    .option('--context <name>', 'the context of the kubeconfig to use (default: its current one)')
    .option('-n, --namespace <namespace>', 'the namespace of the objects (default: that of the context)')
}

/** For commands that also talk to the operator. */
export function addOperatorOptions(command: Command): Command {
  return addClusterOptions(command)
    .option('--operator-namespace <namespace>', 'the namespace that ShellCron is installed in', 'shellcron')
    .option('--operator-service <name>', "the operator's Service", 'shellcron-operator')
    .option(
      '--server <url>',
      "the operator's address, such as https://shellcron.example:9443 (default: port-forward to its pod)",
    )
}

/** Throws InvalidInput if the kubeconfig cannot be used. */
export async function connectCluster(flags: ClusterFlags): Promise<Cluster> {
  const [{ loadKubeConfig }, { createKubeApi }] = await Promise.all([
    import('../../platform/kubernetes/connect.ts'),
    import('../../platform/kubernetes/api.ts'),
  ])
  const config = read(() => loadKubeConfig(flags.kubeconfig))
  if (flags.context !== undefined) {
    if (!config.getContextObject(flags.context))
      throw new InvalidInput('--context', `the kubeconfig has no context "${flags.context}"`)
    config.setCurrentContext(flags.context)
  }
  if (!config.getCurrentCluster())
    throw new InvalidInput('--kubeconfig', 'it has no current context; name one with --context')
  const own = config.getContextObject(config.getCurrentContext())?.namespace
  return {
    config,
    api: createKubeApi(config, 'kubectl-shellcron'),
    namespace: flags.namespace ?? own ?? 'default',
  }
}

function read(load: () => KubeConfig): KubeConfig {
  try {
    return load()
  } catch (cause) {
    throw new InvalidInput('--kubeconfig', `cannot be read: ${messageOf(cause)}`, { cause })
  }
}

/** The body of a 2xx answer. Throws InvalidInput with the server's message, which names what is wrong or which right is missing. */
export function granted(answer: Answer, what: string, remedy = ''): unknown {
  if (answer.status < 300) return answer.body
  const { message = `status ${answer.status}` } = (answer.body ?? {}) as { message?: string }
  throw new InvalidInput(what, remedy ? `${message}; ${remedy}` : message)
}
