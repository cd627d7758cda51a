import type { Resources } from '../resources/port.ts'
import { identify } from './identify.ts'

/** Which place a ShellCronJob has among those of its namespace, by age. Kept in order as they come and go: O(log n) each. */
export interface JobOrder {
  /** How many ShellCronJobs of the namespace are older; of one that is not there: 0. */
  before(namespace: string, name: string): number
  /** It may have come, gone, or become another one. Answers whether it has. */
  changed(namespace: string, name: string): boolean
}

interface Birth {
  name: string
  createdAt: number
}

interface Namespace {
  byAge: Birth[]
  byName: Map<string, Birth>
}

/** `resources`: started; each later change is told to `changed`. */
export function createJobOrder(resources: Pick<Resources, 'get' | 'list'>): JobOrder {
  const namespaces = gathered(resources.list('ShellCronJob').map(({ metadata }) => identify(metadata)))
  return {
    before(namespace, name) {
      const all = namespaces.get(namespace)
      const birth = all?.byName.get(name)
      return all && birth ? firstNotBefore(all.byAge, birth) : 0
    },
    changed(namespace, name) {
      const object = resources.get('ShellCronJob', namespace, name)
      const now = object && identify(object.metadata)
      const all = namespaces.get(namespace) ?? { byAge: [], byName: new Map<string, Birth>() }
      const was = all.byName.get(name)
      if (was?.createdAt === now?.createdAt) return false
      if (was) {
        all.byAge.splice(firstNotBefore(all.byAge, was), 1)
        all.byName.delete(name)
      }
      if (now) add(all, { name, createdAt: now.createdAt })
      namespaces.set(namespace, all)
      return true
    },
  }
}

function gathered(jobs: (Birth & { namespace: string })[]): Map<string, Namespace> {
  const all = new Map<string, Namespace>()
  for (const { namespace, name, createdAt } of jobs.sort(byAge)) {
    const here = all.get(namespace) ?? { byAge: [], byName: new Map<string, Birth>() }
    const birth = { name, createdAt }
    here.byAge.push(birth)
    here.byName.set(name, birth)
    all.set(namespace, here)
  }
  return all
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
    const there = births[middle]
    if (there && byAge(there, birth) < 0) low = middle + 1
    else high = middle
  }
  return low
}
