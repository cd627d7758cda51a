import type { ShellCronJob } from '../../core/schema/objects.ts'
import type { Context } from '../context.ts'
import { desiredMembers, desiredPools } from '../members/plan.ts'
import type { CompileInputs } from './compile-job.ts'
import { createJobOrder } from './job-order.ts'

/** What a compilation rests on beside its object, worked out once for many until objects change. */
export interface CompileInputsCache {
  get(): Omit<CompileInputs, 'lookedUp'>
  /** How many ShellCronJobs of the namespace are older. */
  olderJobs(object: ShellCronJob): number
  /** Policies, pools or agents have changed. */
  changed(): void
  /** A ShellCronJob has changed. Answers whether it came or went, so that others may have another place. */
  jobChanged(namespace: string, name: string): boolean
}

export function createCompileInputs(
  context: Pick<Context, 'resources' | 'allowWithoutPolicy' | 'epoch' | 'draining'>,
): CompileInputsCache {
  const { resources } = context
  let known: Omit<CompileInputs, 'lookedUp'> | undefined
  const places = createJobOrder(resources)
  return {
    get() {
      if (known && known.epoch === context.epoch()) return known
      const pools = resources.list('ShellPool')
      const nodes = new Map(resources.list('Node').map(node => [node.metadata.name, node]))
      const members = desiredMembers(resources.list('ShellAgent'), nodes, pools)
      known = {
        policies: resources.list('ShellPolicy'),
        pools: new Set(desiredPools(pools, members, context.draining()).keys()),
        // One that cannot be read is one: nobody knows what it does not allow.
        allowWithoutPolicy: context.allowWithoutPolicy && resources.uids('ShellPolicy').length === 0,
        epoch: context.epoch(),
      }
      return known
    },
    olderJobs: ({ metadata }) => places.before(metadata.namespace ?? '', metadata.name),
    changed: () => void (known = undefined),
    jobChanged: (namespace, name) => places.changed(namespace, name),
  }
}
