import { type Command, Option } from 'commander'
import { addOperatorOptions, type ClusterFlags, isForCluster } from '../cluster/cluster.ts'
import type { Operator } from '../operator-client.ts'
import { socketIn, stateOption } from './state.ts'

/** How a command reaches its operator: over the socket of a state directory, or in a cluster with the user's kubeconfig. */
export type ReachFlags = { state: string; namespace?: string } | (ClusterFlags & { state?: undefined })

/** The same flags for each command. `namespace`: what it is for, without a cluster; undefined: the command has no such flag. */
export function addReachOptions(command: Command, program: Command, namespace?: string): Command {
  if (isForCluster(program)) return addOperatorOptions(command)
  command.addOption(stateOption())
  return namespace === undefined
    ? command
    : command.addOption(new Option('-n, --namespace <namespace>', namespace))
}

export interface Reached {
  operator: Operator
  /** Of objects that are named without one. */
  namespace: string
}

export async function reach(flags: ReachFlags): Promise<Reached> {
  if (flags.state !== undefined)
    return { operator: socketIn(flags.state), namespace: flags.namespace ?? 'default' }
  const [{ connectCluster }, { operatorOf }] = await Promise.all([
    import('../cluster/cluster.ts'),
    import('../cluster/operator.ts'),
  ])
  const cluster = await connectCluster(flags)
  return { operator: await operatorOf(cluster, flags), namespace: cluster.namespace }
}
