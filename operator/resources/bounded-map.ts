const MEMORY = 10_000

/** Sets the key, and forgets what was set longest ago when there are too many: a map's order is that of its settings. */
export function setBounded<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key)
  map.set(key, value)
  const oldest = map.keys().next().value
  if (map.size > MEMORY && oldest !== undefined) map.delete(oldest)
}
