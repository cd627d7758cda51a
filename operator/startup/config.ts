import { hostname } from 'node:os'
import { join } from 'node:path'
import * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import { DEFAULT_PREFIX } from '../../core/keys.ts'
import { bytesOf, quantity } from '../../core/schema/values.ts'
import { type Trust, trustAll, trustIn } from '../../platform/trust.ts'
import { existingUser } from '../../platform/users.ts'
import type { AwaitedAgent } from '../first-comparison.ts'
import type { GivenSecrets } from '../resources/directory/secrets.ts'
import { type LogStoreConfig, logStoreOf } from './open-log-store.ts'
import { secretsFromEnv } from './secret-from-env.ts'

/** The pool of the agent that `up` enrols. */
const LOCAL_POOL = 'default'

const address = z
  .string()
  .regex(/^(\[?[^\s]*\]?:)?\d{1,5}$/, 'must be a port, or an address like 0.0.0.0:8081')

const UNIX = 'unix:'
const ingestAddress = z.union([address, z.string().regex(/^unix:./)], {
  error: 'must be a port, an address like 0.0.0.0:9443, or a socket like unix:/run/shellcron/ingest.sock',
})

/** The settings of `shellcron operator`, named like its flags. */
const schema = z.strictObject({
  endpoints: z
    .array(z.string().regex(/^https?:\/\/[^/]+$/, 'must be a URL like https://10.0.0.1:2379'))
    .min(1),
  state: z.string().min(1).optional(),
  directory: z.string().min(1).optional(),
  kubeconfig: z.string().min(1).optional(),
  etcdIdentity: z.string().min(1).optional(),
  prefix: z.string().startsWith('/').endsWith('/').default(DEFAULT_PREFIX),
  health: address.optional(),
  /** The address or Unix socket on which agents deliver output, with TLS. Without it the operator accepts none. */
  ingest: ingestAddress.optional(),
  /** Names and addresses under which agents reach the ingest, besides those of this machine. */
  ingestNames: z.array(z.string().min(1)).default([]),
  /** Status writes in a second for new and edited objects. Argo CD, Flux and Helm wait for them. */
  verdictWrites: z.number().int().min(1).max(10_000).default(100),
  /** Other status writes in a second, for all objects together. Each is a write to the cluster's own etcd. */
  statusWrites: z.number().int().min(1).max(10_000).default(20),
  /** How long the log store keeps results after their scheduled time, days. 0: forever. */
  retentionDays: z.number().min(0).default(90),
  /** How much output the log store keeps, in bytes as stored. 0: all. */
  retentionBytes: quantity('0', '1000Ti').default('20Gi'),
  /** A file, or postgres://… The default is a file in the state directory. */
  logStore: z.string().min(1).optional(),
  logStorePasswordFile: z.string().min(1).optional(),
  /** ShellCron is being uninstalled: finalizers are removed and `jobs/` is emptied. */
  draining: z.boolean().default(false),
  /** Standalone: keys of Secrets whose values are in the operator's own environment. */
  secretFromEnv: z.array(z.string()).default([]),
  /** Users who may own the state directory and the objects' files, besides root and the operator's own. */
  trustOwner: z.array(z.string().refine(...existingUser)).default([]),
  /** Standalone: new jobs are compiled when this agent of the pool `default` is Ready, in a process that started after `awaitSince`. */
  awaitAgent: z.string().min(1).optional(),
  /** Unix ms. */
  awaitSince: z.number().min(0).default(0),
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
})

/** Without `host`, all addresses. `port` 0: any free port. */
interface Address {
  host?: string
  port: number
}

/** Where the ingest listens. A Unix socket is for agents of the same user on this machine. */
export type Listen = Address | { path: string }

export interface OperatorConfig {
  endpoints: string[]
  prefix: string
  etcdIdentity?: string
  health?: Address
  ingest?: { listen: Listen; names: string[] }
  draining: boolean
  logLevel: string
  statusWrites: number
  verdictWrites: number
  /** Who may own and write the state directory and the objects' files. */
  trust: Trust
  logStore: LogStoreConfig
  /** Retention of the log store. undefined: keep everything forever. */
  retention: { days?: number; outputBytes?: number }
  awaitedAgent?: AwaitedAgent
  mode:
    | { kind: 'directory'; directory: string; stateDir: string; secrets: GivenSecrets }
    /** `namespace`: that of the operator's own Secret and Lease. `identity`: this operator's name in the Lease. */
    | { kind: 'kubernetes'; kubeconfig?: string; stateDir: string; namespace: string; identity: string }
}

/** Checks the settings. Throws InvalidInput that names the flag. */
export function readConfig(
  input: Record<string, unknown>,
  env: Record<string, string | undefined> = process.env,
): OperatorConfig {
  const parsed = schema.safeParse(input)
  if (!parsed.success) throw invalidFlag(parsed.error)
  const { endpoints, prefix, draining, logLevel, statusWrites, verdictWrites } = parsed.data
  const { directory, kubeconfig, state, etcdIdentity, secretFromEnv } = parsed.data
  if (directory !== undefined && kubeconfig !== undefined)
    throw new InvalidInput(
      '--kubeconfig',
      'is for a cluster, and --directory is for standalone; use only one of them',
    )
  if (directory === undefined && secretFromEnv.length > 0)
    throw new InvalidInput(
      '--secret-from-env',
      'is for standalone only (--directory); in a cluster, use a Secret object',
    )
  const health = parsed.data.health === undefined ? {} : { health: addressOf('--health', parsed.data.health) }
  return {
    endpoints,
    prefix,
    draining,
    logLevel,
    statusWrites,
    verdictWrites,
    trust: trustOf(parsed.data, env),
    logStore: logStoreOf(parsed.data.logStore, parsed.data.logStorePasswordFile),
    retention: retentionOf(parsed.data),
    ...(etcdIdentity === undefined ? {} : { etcdIdentity }),
    ...health,
    ...ingestOf(parsed.data, env),
    ...awaitedOf(parsed.data),
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

/** A volume of a pod is often writable by everybody, and only the pod's own containers see it. */
function trustOf(
  { directory, trustOwner }: z.infer<typeof schema>,
  env: Record<string, string | undefined>,
): Trust {
  const isVolume = directory === undefined && env.KUBERNETES_SERVICE_HOST !== undefined
  return isVolume ? trustAll : trustIn(trustOwner)
}

function retentionOf(settings: z.infer<typeof schema>): OperatorConfig['retention'] {
  const { retentionDays: days, retentionBytes } = settings
  const outputBytes = bytesOf(retentionBytes)
  return { ...(days === 0 ? {} : { days }), ...(outputBytes === 0 ? {} : { outputBytes }) }
}

function awaitedOf({
  awaitAgent: agent,
  awaitSince: since,
}: z.infer<typeof schema>): Pick<OperatorConfig, 'awaitedAgent'> {
  return agent === undefined ? {} : { awaitedAgent: { pool: LOCAL_POOL, agent, since } }
}

function invalidFlag(error: z.ZodError): InvalidInput {
  const [issue] = error.issues
  const setting = issue?.code === 'unrecognized_keys' ? issue.keys[0] : issue?.path[0]
  const flag = String(setting ?? 'settings').replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
  return new InvalidInput(`--${flag}`, issue?.message ?? 'is not valid')
}

function ingestOf(
  { ingest, ingestNames }: z.infer<typeof schema>,
  env: Record<string, string | undefined>,
): Pick<OperatorConfig, 'ingest'> {
  if (ingest === undefined) return {}
  const listen = ingest.startsWith(UNIX) ? { path: ingest.slice(UNIX.length) } : addressOf('--ingest', ingest)
  const own = ['localhost', '127.0.0.1', '::1', hostname().toLowerCase()]
  const service = env.POD_NAMESPACE === undefined ? [] : serviceNames(env.POD_NAMESPACE)
  const given = 'host' in listen && listen.host !== undefined ? [listen.host] : []
  return { ingest: { listen, names: [...new Set([...own, ...service, ...given, ...ingestNames])] } }
}

/** The names of the operator's Service in the cluster's DNS. */
function serviceNames(namespace: string): string[] {
  const name = `shellcron-operator.${namespace}`
  return [name, `${name}.svc`, `${name}.svc.cluster.local`]
}

function addressOf(flag: string, text: string): Address {
  const colon = text.lastIndexOf(':')
  const port = Number(text.slice(colon + 1))
  if (port > 65_535) throw new InvalidInput(flag, `${port} is not a port; use 0 to 65535`)
  const host = colon > 0 ? text.slice(0, colon).replace(/^\[(.*)\]$/, '$1') : ''
  return host === '' ? { port } : { host, port }
}
