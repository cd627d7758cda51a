import { hostname } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { InvalidInput } from '../core/errors.ts'
import { DEFAULT_PREFIX } from '../core/keys.ts'
import type { Given } from './resources/directory/secrets.ts'
import { secretsFromEnv } from './secret-from-env.ts'

/** Settings of `shellcron operator`, as flags name them. */
const schema = z.strictObject({
  endpoints: z.array(z.string().regex(/^https?:\/\/[^/]+$/, 'must be like https://10.0.0.1:2379')).min(1),
  state: z.string().min(1).optional(),
  directory: z.string().min(1).optional(),
  kubeconfig: z.string().min(1).optional(),
  etcdIdentity: z.string().min(1).optional(),
  prefix: z.string().startsWith('/').endsWith('/').default(DEFAULT_PREFIX),
  health: z
    .string()
    .regex(/^(\[?[^\s]*\]?:)?\d{1,5}$/, 'must be like 0.0.0.0:8081, or a port')
    .optional(),
  /** Of all objects together, in a second: each is one in the cluster's own etcd. */
  statusWrites: z.number().int().min(1).max(10_000).default(20),
  /** Being uninstalled: see DESIGN §6. */
  draining: z.boolean().default(false),
  /** Standalone: keys of Secrets that are variables of the operator's own environment. */
  secretFromEnv: z.array(z.string()).default([]),
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
})

export interface OperatorConfig {
  endpoints: string[]
  prefix: string
  etcdIdentity?: string
  health?: { host?: string; port: number }
  draining: boolean
  logLevel: string
  statusWrites: number
  mode:
    | { kind: 'directory'; directory: string; stateDir: string; secrets: Given }
    /** `namespace`: of the operator's own Secret and Lease. `identity`: who we are in the Lease. */
    | { kind: 'kubernetes'; kubeconfig?: string; stateDir: string; namespace: string; identity: string }
}

/** Checks settings; throws InvalidInput that names the flag. */
export function readConfig(
  input: Record<string, unknown>,
  env: Record<string, string | undefined> = process.env,
): OperatorConfig {
  const parsed = schema.safeParse(input)
  if (!parsed.success) throw named(parsed.error)
  const { endpoints, prefix, draining, logLevel, statusWrites } = parsed.data
  const { directory, kubeconfig, state, etcdIdentity, secretFromEnv } = parsed.data
  if (directory !== undefined && kubeconfig !== undefined)
    throw new InvalidInput('--kubeconfig', 'is for a cluster, --directory for standalone; give one of them')
  if (directory === undefined && secretFromEnv.length > 0)
    throw new InvalidInput('--secret-from-env', 'is for standalone; in a cluster Secrets are objects')
  const health = parsed.data.health === undefined ? {} : { health: addressOf(parsed.data.health) }
  return {
    endpoints,
    prefix,
    draining,
    logLevel,
    statusWrites,
    ...(etcdIdentity === undefined ? {} : { etcdIdentity }),
    ...health,
    mode:
      directory === undefined
        ? {
            kind: 'kubernetes',
            ...(kubeconfig === undefined ? {} : { kubeconfig }),
            stateDir: state ?? '/var/lib/shellcron-operator',
            namespace: env.POD_NAMESPACE ?? 'shellcron',
            identity: env.POD_NAME ?? hostname(),
          }
        : {
            kind: 'directory',
            directory,
            stateDir: state ?? join(directory, '.shellcron'),
            secrets: secretsFromEnv(secretFromEnv, env),
          },
  }
}

function named(error: z.ZodError): InvalidInput {
  const [issue] = error.issues
  const setting = issue?.code === 'unrecognized_keys' ? issue.keys[0] : issue?.path[0]
  const flag = String(setting ?? 'settings').replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
  return new InvalidInput(`--${flag}`, issue?.message ?? 'is not valid')
}

function addressOf(text: string): { host?: string; port: number } {
  const colon = text.lastIndexOf(':')
  const port = Number(text.slice(colon + 1))
  if (port > 65_535) throw new InvalidInput('--health', `${port} is not a port`)
  const host = colon > 0 ? text.slice(0, colon).replace(/^\[(.*)\]$/, '$1') : ''
  return host === '' ? { port } : { host, port }
}
