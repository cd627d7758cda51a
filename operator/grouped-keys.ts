import type { View } from '../store/etcd/client.ts'

/** The keys of a view, grouped by a name that several share. Kept up to date as the view changes. */
export function groupKeys(
  view: View,
  nameOf: (key: string) => string | undefined,
): (name: string) => Iterable<string> {
  /** Mostly one key: a set for each of ten thousand would be 200 bytes. */
  const groups = new Map<string, string | Set<string>>()
  /** The name of each key, as that of a deleted one may no longer be known. */
  const names = new Map<string, string>()
  const add = (key: string) => {
    const name = nameOf(key)
    if (name === undefined) return
    names.set(key, name)
    const group = groups.get(name)
    if (group === undefined || group === key) groups.set(name, key)
    else groups.set(name, (typeof group === 'string' ? new Set([group]) : group).add(key))
  }
  const remove = (key: string) => {
    const name = names.get(key)
    if (name === undefined) return
    names.delete(key)
    const group = groups.get(name)
    if (group === key) groups.delete(name)
    if (typeof group !== 'object') return
    group.delete(key)
    if (group.size === 0) groups.delete(name)
  }
  for (const key of view.items.keys()) add(key)
  view.onChange(({ key, now }) => (now ? add(key) : remove(key)))
  return name => {
    const group = groups.get(name) ?? []
    return typeof group === 'string' ? [group] : group
  }
}
