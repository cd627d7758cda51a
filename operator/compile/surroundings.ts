import type { ShellCronJob } from '../../core/schema/objects.ts'
import type { Context } from '../context.ts'
import { desiredMembers, desiredPools } from '../members/plan.ts'
import { identify } from './identified.ts'
import type { Surroundings } from './job.ts'

/** What a compilation rests on beside its object, worked out once for many until objects change. */
export interface Around {
  get(): Omit<Surroundings, 'lookedUp'>
  /** How many ShellCronJobs of the namespace are older. */
  olderJobs(object: ShellCronJob): number
  /** Policies, pools or agents have changed. */
  changed(): void
  /** A ShellCronJob came or went. */
  jobsChanged(namespace: string): void
}

export function createAround(
  context: Pick<Context, 'resources' | 'allowWithoutPolicy' | 'epoch' | 'draining'>,
): Around {
  const { resources } = context
  let known: Omit<Surroundings, 'lookedUp'> | undefined
  const places = new Map<string, Map<string, number>>()
  const placesIn = (namespace: string): Map<string, number> => {
    const there = places.get(namespace)
    if (there) return there
    const jobs = resources
      .list('ShellCronJob')
      .map(({ metadata }) => identify(metadata))
      .filter(job => job.namespace === namespace)
      .sort((a, b) => a.createdAt - b.createdAt || (a.name < b.name ? -1 : 1))
    const numbered = new Map(jobs.map(({ name }, place) => [name, place]))
    places.set(namespace, numbered)
    return numbered
  }
  return {
    get() {
      if (known && known.epoch === context.epoch()) return known
      const pools = resources.list('ShellPool')
      const nodes = new Map(resources.list('Node').map(node => [node.metadata.name, node]))
      const members = desiredMembers(resources.list('ShellAgent'), nodes, pools)
      known = {
        policies: resources.list('ShellPolicy'),
        pools: new Set(desiredPools(pools, members, context.draining()).keys()),
        allowWithoutPolicy: context.allowWithoutPolicy,
        epoch: context.epoch(),
      }
      return known
    },
    olderJobs: ({ metadata }) => placesIn(metadata.namespace ?? '').get(metadata.name) ?? 0,
    changed: () => void (known = undefined),
    jobsChanged: namespace => void places.delete(namespace),
  }
}
