import type { Resources } from '../resources/port.ts'
import { identify } from './identify.ts'

/** The ShellCronJobs of each namespace, ordered by age. An update costs O(log n). */
export interface JobOrder {
  /** How many ShellCronJobs of the namespace are older than this one. 0 if it does not exist. */
  olderThan(namespace: string, name: string): number
  /** Takes over a change of a ShellCronJob. True if it came, went, or was replaced. */
  update(namespace: string, name: string): boolean
}

interface Birth {
  name: string
  createdAt: number
}

interface Namespace {
  byAge: Birth[]
  byName: Map<string, Birth>
}

/** `resources` must have been started. Each later change must be passed to `update`. */
export function createJobOrder(resources: Pick<Resources, 'get' | 'list'>): JobOrder {
  const namespaces = groupByNamespace(
    resources.list('ShellCronJob').map(({ metadata }) => identify(metadata)),
  )
  return {
    olderThan(namespace, name) {
      const jobs = namespaces.get(namespace)
      const birth = jobs?.byName.get(name)
      return jobs && birth ? firstNotBefore(jobs.byAge, birth) : 0
    },
    update(namespace, name) {
      const object = resources.get('ShellCronJob', namespace, name)
      const now = object && identify(object.metadata)
      const jobs = namespaces.get(namespace) ?? { byAge: [], byName: new Map<string, Birth>() }
      const before = jobs.byName.get(name)
      if (before?.createdAt === now?.createdAt) return false
      if (before) remove(jobs, before)
      if (now) add(jobs, { name, createdAt: now.createdAt })
      namespaces.set(namespace, jobs)
      return true
    },
  }
}

function groupByNamespace(jobs: (Birth & { namespace: string })[]): Map<string, Namespace> {
  const namespaces = new Map<string, Namespace>()
  for (const { namespace, name, createdAt } of jobs.sort(byAge)) {
    const group = namespaces.get(namespace) ?? { byAge: [], byName: new Map<string, Birth>() }
    const birth = { name, createdAt }
    group.byAge.push(birth)
    group.byName.set(name, birth)
    namespaces.set(namespace, group)
  }
  return namespaces
}

function remove({ byAge, byName }: Namespace, birth: Birth): void {
  byAge.splice(firstNotBefore(byAge, birth), 1)
  byName.delete(birth.name)
}

function add({ byAge, byName }: Namespace, birth: Birth): void {
  byAge.splice(firstNotBefore(byAge, birth), 0, birth)
  byName.set(birth.name, birth)
}

function byAge(a: Birth, b: Birth): number {
  if (a.createdAt !== b.createdAt) return a.createdAt - b.createdAt
  if (a.name === b.name) return 0
  return a.name < b.name ? -1 : 1
}

function firstNotBefore(births: readonly Birth[], birth: Birth): number {
  let [low, high] = [0, births.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const other = births[middle]
    if (other && byAge(other, birth) < 0) low = middle + 1
    else high = middle
  }
  return low
}
