/** A variable's value, and where it comes from. undefined: the template. */
export interface Value {
  value: string
  from: 'Secret' | 'ConfigMap' | undefined
}

/** Linux's limit for `NAME=value`. References to references could otherwise make a value of any length. */
const MOST_BYTES = 131_071

/**
 * A value with its references resolved, by the rules of a Pod: `$(NAME)` becomes the value of a variable that was defined before, an
 * unknown name stays as it is, and `$$` becomes `$`. What contains the value of a Secret is secret too. undefined: the result is longer
 * than a variable may be.
 */
export function expandReferences(text: string, known: ReadonlyMap<string, Value>): Value | undefined {
  let from: Value['from']
  let value = ''
  let end = 0
  for (const match of text.matchAll(/\$(?:\$|\(([^)]*)\))/g)) {
    const [whole, name] = match
    const referred = name === undefined ? undefined : known.get(name)
    if (referred?.from && from !== 'Secret') from = referred.from
    value += text.slice(end, match.index) + (name === undefined ? '$' : (referred?.value ?? whole))
    if (value.length > MOST_BYTES) return undefined
    end = match.index + whole.length
  }
  value += text.slice(end)
  return new TextEncoder().encode(value).length > MOST_BYTES ? undefined : { value, from }
}
