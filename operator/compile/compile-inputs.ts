import type { ShellCronJob } from '../../core/schema/objects.ts'
import type { Context } from '../context.ts'
import { desiredMembers, desiredPools } from '../members/plan.ts'
import type { CompileInputs } from './compile-job.ts'
import { createJobOrder } from './job-order.ts'

/** The inputs of a compilation besides the object itself. Computed once, until a policy, pool or agent changes. */
export interface CompileInputsCache {
  get(): Omit<CompileInputs, 'lookedUp'>
  /** How many ShellCronJobs of the namespace are older. */
  olderJobs(object: ShellCronJob): number
  /** Forgets the computed inputs: a policy, pool or agent has changed. */
  changed(): void
  /** Takes over a change of a ShellCronJob. True if it came or went, so that `olderJobs` of others may differ. */
  jobChanged(namespace: string, name: string): boolean
}

export function createCompileInputs(
  context: Pick<Context, 'resources' | 'allowWithoutPolicy' | 'epoch' | 'draining'>,
): CompileInputsCache {
  const { resources } = context
  let known: Omit<CompileInputs, 'lookedUp'> | undefined
  const order = createJobOrder(resources)
  return {
    get() {
      if (known && known.epoch === context.epoch()) return known
      const pools = resources.list('ShellPool')
      const nodes = new Map(resources.list('Node').map(node => [node.metadata.name, node]))
      const members = desiredMembers(resources.list('ShellAgent'), nodes, pools)
      known = {
        policies: resources.list('ShellPolicy'),
        pools: new Set(desiredPools(pools, members, context.draining()).keys()),
        // An unreadable policy counts too: it may forbid what no other policy mentions.
        allowWithoutPolicy: context.allowWithoutPolicy && resources.uids('ShellPolicy').length === 0,
        epoch: context.epoch(),
      }
      return known
    },
    olderJobs: ({ metadata }) => order.olderThan(metadata.namespace ?? '', metadata.name),
    changed: () => void (known = undefined),
    jobChanged: (namespace, name) => order.update(namespace, name),
  }
}
