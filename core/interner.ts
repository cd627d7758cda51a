/**
 * Returns one object for all equal values, so that each is in memory once. Ten thousand jobs share most of their parts. The values must not
 * be changed afterwards.
 */
export type Intern = <V>(value: V) => V

/** A generation of values ends at either limit. A value that is not used during one whole generation is forgotten. That only costs memory. */
const MAX_VALUES = 2_500
const MAX_CHARACTERS = 2 * 1024 * 1024

/** Values are equal if their JSON is. */
export function createInterner(): Intern {
  let current = new Map<string, unknown>()
  let previous = new Map<string, unknown>()
  let characters = 0
  return <V>(value: V): V => {
    const text = JSON.stringify(value)
    if (text === undefined) return value
    const known = current.get(text)
    if (known !== undefined) return known as V
    if (current.size >= MAX_VALUES || characters >= MAX_CHARACTERS) {
      previous = current
      current = new Map()
      characters = 0
    }
    const interned = (previous.get(text) ?? value) as V
    current.set(text, interned)
    characters += text.length
    return interned
  }
}

/** Interns these fields of a new object, in place: nobody else has seen it yet. */
export function internFields<T extends object>(intern: Intern, of: T, names: readonly (keyof T)[]): void {
  for (const name of names) if (of[name] !== undefined) of[name] = intern(of[name])
}
