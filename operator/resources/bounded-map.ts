const MAX_SIZE = 10_000

/** Sets the key as the newest. If the map is full, the key that was set longest ago is deleted. */
export function setBounded<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key)
  map.set(key, value)
  const oldest = map.keys().next().value
  if (map.size > MAX_SIZE && oldest !== undefined) map.delete(oldest)
}
