import type { EnvFromSource, EnvVar } from '../../core/schema/env.ts'
import type { TemplateSpec } from '../../core/schema/template.ts'
import type { LookedUpKind, Lookup } from '../resources/port.ts'
import { type Blocked, blocked } from './blocked.ts'

/** A command's environment, from the template and the Secrets and ConfigMaps that it names. Pure: they have been looked up before. */

export interface Source {
  kind: LookedUpKind
  name: string
}

export interface Environment {
  /** What the template says itself. */
  env: { name: string; value: string }[]
  /** From Secrets and ConfigMaps: to be sealed. */
  secret: Record<string, string>
  /** The names of those from ConfigMaps. */
  notSecret?: string[]
}

type Template = Pick<TemplateSpec, 'env' | 'envFrom' | 'host'>
type LookedUp = (source: Source) => Lookup | undefined

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/
/** All sealed values of one entry, in bytes: entries are held by every agent of the pool. */
const MOST_SEALED = 256 * 1024

/** The Secrets and ConfigMaps that a template names, each once. */
export function sourcesOf({ env = [], envFrom = [] }: Template): Source[] {
  const all = [
    ...envFrom.map(wholeSource),
    ...env.flatMap(({ valueFrom }) => (valueFrom ? [keySource(valueFrom)] : [])),
  ]
  const known = new Map(all.map(({ kind, name }) => [`${kind}/${name}`, { kind, name }]))
  return [...known.values()]
}

/** `env` after `envFrom`, later over earlier, as in a Pod. */
export function environmentOf(template: Template, lookedUp: LookedUp): Environment | Blocked {
  const values = new Map<string, Value>()
  for (const [i, source] of (template.envFrom ?? []).entries()) {
    const at = `spec.template.spec.envFrom[${i}]`
    // The schema refuses it too; here it is a boundary, whatever let the object in.
    if (template.host && source.prefix === undefined)
      return blocked('PrefixRequired', `${at}.prefix: is needed in host mode; set one`)
    const data = wholeData(source, { at, lookedUp })
    if ('reason' in data) return data
    for (const [key, value] of Object.entries(data.data)) {
      const name = `${source.prefix ?? ''}${key}`
      if (NAME.test(name)) values.set(name, { value, from: source.secretRef ? 'Secret' : 'ConfigMap' })
    }
  }
  for (const [i, variable] of (template.env ?? []).entries()) {
    const at = `spec.template.spec.env[${i}]`
    const got = valueOf(variable, { at, lookedUp })
    if (typeof got === 'object') return got
    if (got === undefined) values.delete(variable.name)
    else
      values.set(variable.name, {
        value: got,
        from: variable.valueFrom && keySource(variable.valueFrom).kind,
      })
  }
  return parted(values)
}

/** The environment as far as it is known: empty if any value cannot be resolved. */
export function valuesOf(environment: Environment | Blocked): Environment {
  return 'reason' in environment ? { env: [], secret: {} } : environment
}

interface Value {
  value: string
  /** undefined: the template's own. */
  from: LookedUpKind | undefined
}

function parted(values: Map<string, Value>): Environment | Blocked {
  const env: Environment['env'] = []
  const secret: Record<string, string> = {}
  for (const [name, { value, from }] of values) {
    if (from) secret[name] = value
    else env.push({ name, value })
  }
  const notSecret = [...values.entries()].flatMap(([name, { from }]) => (from === 'ConfigMap' ? [name] : []))
  const size = JSON.stringify(secret).length
  if (size <= MOST_SEALED)
    return { env, secret, ...(notSecret.length > 0 ? { notSecret: notSecret.sort() } : {}) }
  return blocked(
    'SecretsTooLarge',
    `spec.template.spec.env: values from Secrets and ConfigMaps come to ${size} bytes, ${MOST_SEALED} are possible; name only the keys that are needed`,
    true,
  )
}

interface From {
  at: string
  lookedUp: LookedUp
}

/** undefined: it is optional and absent. */
function valueOf(variable: EnvVar, from: From): string | undefined | Blocked {
  if (!variable.valueFrom) return variable.value ?? ''
  const { kind, name, key, optional } = keySource(variable.valueFrom)
  const at = `${from.at} (${variable.name})`
  const found = from.lookedUp({ kind, name })
  if (found?.kind !== 'found')
    return optional && found?.kind === 'absent' ? undefined : lacking({ kind, name }, { at, found })
  const value = found.data[key]
  if (value !== undefined) return value
  if (found.notText.includes(key))
    return blocked(
      'ValueNotText',
      `${at}: key ${key} of ${kind} ${name} is not text: UTF-8 without a NUL`,
      true,
    )
  return optional
    ? undefined
    : blocked(
        'KeyNotFound',
        `${at}: ${kind} ${name} has no key ${key}; add it, or mark the reference optional`,
        true,
      )
}

function wholeData(source: EnvFromSource, from: From): { data: Readonly<Record<string, string>> } | Blocked {
  const { kind, name, optional } = wholeSource(source)
  const found = from.lookedUp({ kind, name })
  if (found?.kind === 'found') return { data: found.data }
  return optional && found?.kind === 'absent' ? { data: {} } : lacking({ kind, name }, { at: from.at, found })
}

function lacking({ kind, name }: Source, { at, found }: { at: string; found: Lookup | undefined }): Blocked {
  return found?.kind === 'forbidden'
    ? blocked(`${kind}Forbidden`, `${at}: ${kind} ${name} cannot be read: ${found.message}`, true)
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
