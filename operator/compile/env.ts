import type { EnvFromSource, EnvVar } from '../../core/schema/env.ts'
import type { TemplateSpec } from '../../core/schema/template.ts'
import { MOST_STRING } from '../../core/schema/validate.ts'
import type { LookedUpKind, Lookup } from '../resources/port.ts'
import { type Blocked, blocked } from './blocked.ts'
import { expandReferences, type Value } from './expand-references.ts'

/** A command's environment, from its template and the Secrets and ConfigMaps that it names. Pure: those have been looked up before. */

export interface Source {
  kind: LookedUpKind
  name: string
}

export interface Environment {
  /** Variables whose values are in the template. */
  env: { name: string; value: string }[]
  /** Variables from Secrets and ConfigMaps: these values must be sealed. */
  secret: Record<string, string>
  /** The names in `secret` that come from ConfigMaps. */
  notSecret?: string[]
}

type Template = Pick<TemplateSpec, 'env' | 'envFrom' | 'host'>
type LookedUp = (source: Source) => Lookup | undefined

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/
/** The limit of all sealed values of one entry, in bytes. Every agent of the pool keeps every entry in memory. */
const MAX_SEALED_BYTES = 256 * 1024

/** The Secrets and ConfigMaps that a template names, each once. */
export function sourcesOf({ env = [], envFrom = [] }: Template): Source[] {
  const all = [
    ...envFrom.map(wholeSource),
    ...env.flatMap(({ valueFrom }) => (valueFrom ? [keySource(valueFrom)] : [])),
  ]
  const known = new Map(all.map(({ kind, name }) => [`${kind}/${name}`, { kind, name }]))
  return [...known.values()]
}

/** As in a Pod, `env` overrides `envFrom`, and a later source overrides an earlier one. */
export function environmentOf(template: Template, lookedUp: LookedUp): Environment | Blocked {
  const values = new Map<string, Value>()
  for (const [i, source] of (template.envFrom ?? []).entries()) {
    const at = `spec.template.spec.envFrom[${i}]`
    // The schema requires it too. It is checked again here, because the editor of a ConfigMap must never choose a variable's name.
    if (template.host && source.prefix === undefined)
      return blocked('PrefixRequired', `${at}.prefix: required in host mode; set a prefix`)
    const data = wholeData(source, { at, lookedUp })
    if ('reason' in data) return data
    for (const [key, value] of Object.entries(data.data)) {
      const name = `${source.prefix ?? ''}${key}`
      if (NAME.test(name)) values.set(name, { value, from: source.secretRef ? 'Secret' : 'ConfigMap' })
    }
  }
  for (const [i, variable] of (template.env ?? []).entries()) {
    const at = `spec.template.spec.env[${i}]`
    const value = valueOf(variable, { at, lookedUp, values })
    if (value && 'reason' in value) return value
    if (value === undefined) values.delete(variable.name)
    else values.set(variable.name, value)
  }
  return partition(values)
}

/** The environment as far as it is known: empty if any value cannot be resolved. */
export function valuesOf(environment: Environment | Blocked): Environment {
  return 'reason' in environment ? { env: [], secret: {} } : environment
}

function partition(values: Map<string, Value>): Environment | Blocked {
  const env: Environment['env'] = []
  const secret: Record<string, string> = {}
  for (const [name, { value, from }] of values) {
    if (from) secret[name] = value
    else env.push({ name, value })
  }
  const notSecret = [...values.entries()].flatMap(([name, { from }]) => (from === 'ConfigMap' ? [name] : []))
  const biggest = largest(secret)
  if (biggest && biggest.size > MOST_STRING)
    return blocked(
      'ValueTooLarge',
      `spec.template.spec.env: variable ${biggest.name}, from a ${values.get(biggest.name)?.from}, has ${biggest.size} bytes; a variable may have at most ${MOST_STRING}. Put the value into a file on the machine`,
      true,
    )
  const size = JSON.stringify(secret).length
  if (size <= MAX_SEALED_BYTES)
    return { env, secret, ...(notSecret.length > 0 ? { notSecret: notSecret.sort() } : {}) }
  return blocked(
    'SecretsTooLarge',
    `spec.template.spec.env: the values from Secrets and ConfigMaps are ${size} bytes, the limit is ${MAX_SEALED_BYTES}; the largest is ${biggest?.name} with ${biggest?.size} bytes; reference only the keys that are needed`,
    true,
  )
}

/** The largest variable, and the bytes of NAME=VALUE. */
function largest(variables: Readonly<Record<string, string>>): { name: string; size: number } | undefined {
  const [first] = Object.entries(variables)
    .map(([name, value]) => ({ name, size: Buffer.byteLength(`${name}=${value}`) }))
    .sort((a, b) => b.size - a.size)
  return first
}

interface From {
  at: string
  lookedUp: LookedUp
}

/** undefined: the reference is optional, and its value is absent. `values`: the variables that are defined before. */
function valueOf(
  { name: variable, value: text = '', valueFrom }: EnvVar,
  from: From & { values: ReadonlyMap<string, Value> },
): Value | undefined | Blocked {
  const at = `${from.at} (${variable})`
  if (!valueFrom) return expandReferences(text, from.values) ?? tooLong(at)
  const { kind, name, key, optional } = keySource(valueFrom)
  const found = from.lookedUp({ kind, name })
  if (found?.kind !== 'found')
    return optional && found?.kind === 'absent' ? undefined : missing({ kind, name }, { at, found })
  const value = found.data[key]
  if (value !== undefined) return { value, from: kind }
  if (found.notText.includes(key))
    return blocked(
      'ValueNotText',
      `${at}: key ${key} of ${kind} ${name} is not text; use UTF-8 without NUL bytes`,
      true,
    )
  return optional
    ? undefined
    : blocked(
        'KeyNotFound',
        `${at}: ${kind} ${name} has no key ${key}; add the key, or mark the reference optional`,
        true,
      )
}

function tooLong(at: string): Blocked {
  const message = 'with its references resolved it is longer than a variable may be; refer to shorter values'
  return blocked('ValueTooLarge', `${at}: ${message}`, true)
}

function wholeData(source: EnvFromSource, from: From): { data: Readonly<Record<string, string>> } | Blocked {
  const { kind, name, optional } = wholeSource(source)
  const found = from.lookedUp({ kind, name })
  if (found?.kind === 'found') return { data: found.data }
  return optional && found?.kind === 'absent' ? { data: {} } : missing({ kind, name }, { at: from.at, found })
}

function missing({ kind, name }: Source, { at, found }: { at: string; found: Lookup | undefined }): Blocked {
  return found?.kind === 'forbidden'
    ? blocked(
        `${kind}Forbidden`,
        `${at}: the operator may not read ${kind} ${name}; grant it read access (${found.message})`,
        true,
      )
    : blocked(
        `${kind}NotFound`,
        `${at}: ${kind} ${name} does not exist; create it, or mark the reference optional`,
        true,
      )
}

function keySource(source: NonNullable<EnvVar['valueFrom']>): Source & { key: string; optional: boolean } {
  const { secretKeyRef, configMapKeyRef } = source
  const { name = '', key = '', optional = false } = secretKeyRef ?? configMapKeyRef ?? {}
  return { kind: secretKeyRef ? 'Secret' : 'ConfigMap', name, key, optional }
}

function wholeSource({ secretRef, configMapRef }: EnvFromSource): Source & { optional: boolean } {
  const { name = '', optional = false } = secretRef ?? configMapRef ?? {}
  return { kind: secretRef ? 'Secret' : 'ConfigMap', name, optional }
}
