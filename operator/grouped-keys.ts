import type { View } from '../store/etcd/client.ts'

/** The keys of a view, grouped by a name that several share. Kept up to date as the view changes. */
export function groupKeys(
  view: View,
  nameOf: (key: string) => string | undefined,
): (name: string) => Iterable<string> {
  const groups = new Map<string, Set<string>>()
  /** The name of each key, as that of a deleted one may no longer be known. */
  const names = new Map<string, string>()
  const add = (key: string) => {
    const name = nameOf(key)
    if (name === undefined) return
    names.set(key, name)
    groups.set(name, (groups.get(name) ?? new Set()).add(key))
  }
  const remove = (key: string) => {
    const name = names.get(key)
    if (name === undefined) return
    names.delete(key)
    const group = groups.get(name)
    group?.delete(key)
    if (group?.size === 0) groups.delete(name)
  }
  for (const key of view.items.keys()) add(key)
  view.onChange(({ key, now }) => (now ? add(key) : remove(key)))
  return name => groups.get(name) ?? []
}
