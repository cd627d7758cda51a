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
import {
  type Address,
  address,
  addressOf,
  endpointOf,
  type Listen,
  listenAddress,
  listenOf,
} from './addresses.ts'
import { type LogStoreConfig, logStoreOf } from './open-log-store.ts'
import { secretsFromEnv } from './secret-from-env.ts'

/** The pool of the agent that `up` enrols. */
const LOCAL_POOL = 'default'

/** Status writes in a second by default. Standalone they go to an etcd of our own, which takes more than an API server should. */
const STATUS_WRITES = { kubernetes: 20, directory: 200 }

/** The settings of `shellcron operator`, named like its flags. */
const schema = z.strictObject({
  endpoints: z
    .array(z.string().regex(/^https?:\/\/[^/]+$/, 'must be a URL like https://10.0.0.1:2379'))
    .min(1),
  state: z.string().min(1).optional(),
  directory: z.string().min(1).optional(),
  kubeconfig: z.string().min(1).optional(),
  etcdIdentity: z.string().min(1).optional(),
  /** The Secret with the certificate of etcd's members, which the operator issues and renews. */
  etcdSecret: z.string().min(1).optional(),
  /** Names and addresses in that certificate. The first is its common name. */
  etcdNames: z.array(z.string().min(1)).default([]),
  /** The Secret with a certificate for the job that saves snapshots of etcd. Without it that job's user does not exist. */
  etcdBackupSecret: z.string().min(1).optional(),
  prefix: z.string().startsWith('/').endsWith('/').default(DEFAULT_PREFIX),
  health: address.optional(),
  /** Addresses and Unix sockets on which agents and users reach the operator, with TLS. Without one it serves neither. */
  listen: z.array(listenAddress).default([]),
  /** Names and addresses under which they reach it, besides those of this machine. */
  listenNames: z.array(z.string().min(1)).default([]),
  /** Where servers outside of the cluster reach the operator and etcd: they are told when they join. */
  externalOperator: z
    .string()
    .regex(/^https:\/\/[^/]+$/, 'must be a URL like https://shellcron.example:9443')
    .optional(),
  externalEtcd: z
    .array(z.string().regex(/^https:\/\/[^/]+$/, 'must be a URL like https://etcd-1.example:2379'))
    .default([]),
  /** The namespace of nodes' agents: it gets the ConfigMap shellcron-ca. */
  agentNamespace: z.string().min(1).optional(),
  /** The ServiceAccounts of nodes' agents. */
  agentServiceAccount: z
    .array(z.string().regex(/^[a-z0-9-]+:[a-z0-9.-]+$/, 'must be NAMESPACE:NAME'))
    .default([]),
  /** The operator's Service, whose EndpointSlice the operator that leads writes. Needs POD_IP. */
  service: z.string().min(1).optional(),
  /** Status writes in a second for new and edited objects. Argo CD, Flux and Helm wait for them. */
  verdictWrites: z.number().int().min(1).max(10_000).default(100),
  /** Other status writes in a second, for all objects together. In a cluster each is a write to the cluster's own etcd. */
  statusWrites: z.number().int().min(1).max(10_000).optional(),
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

export interface OperatorConfig {
  endpoints: string[]
  prefix: string
  etcdIdentity?: string
  /** The certificate that the operator keeps for etcd's members. */
  etcdCertificate?: { secret: string; names: string[] }
  /** The Secret with the certificate for backups of etcd. */
  backupSecret?: string
  health?: Address
  /** `names`: of the server's certificate. */
  listen?: { on: Listen[]; names: string[] }
  /** Where agents outside of the cluster reach etcd and the operator. */
  reach: { etcd: string[]; operator: string }
  nodes: { namespace?: string; accounts: string[] }
  /** What the leader puts into the EndpointSlice of its Service. */
  endpoint?: { service: string; ip: string; port: number }
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
  const { endpoints, prefix, draining, logLevel, verdictWrites } = parsed.data
  const { directory, kubeconfig, state, etcdIdentity, secretFromEnv } = parsed.data
  checkMode(parsed.data)
  const health = parsed.data.health === undefined ? {} : { health: addressOf('--health', parsed.data.health) }
  return {
    endpoints,
    prefix,
    draining,
    logLevel,
    statusWrites: statusWritesOf(parsed.data),
    verdictWrites,
    trust: trustOf(parsed.data, env),
    logStore: logStoreOf(parsed.data.logStore, parsed.data.logStorePasswordFile),
    retention: retentionOf(parsed.data),
    ...(etcdIdentity === undefined ? {} : { etcdIdentity }),
    ...etcdCertificateOf(parsed.data),
    ...backupOf(parsed.data),
    ...health,
    ...listenOf(parsed.data, env),
    reach: { etcd: parsed.data.externalEtcd, operator: parsed.data.externalOperator ?? '' },
    nodes: nodesOf(parsed.data),
    ...endpointOf(parsed.data, env),
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

function statusWritesOf({ statusWrites, directory }: z.infer<typeof schema>): number {
  return statusWrites ?? STATUS_WRITES[directory === undefined ? 'kubernetes' : 'directory']
}

/** A volume of a pod is often writable by everybody, and only the pod's own containers see it. */
function trustOf(
  { directory, trustOwner }: z.infer<typeof schema>,
  env: Record<string, string | undefined>,
): Trust {
  const isVolume = directory === undefined && env.KUBERNETES_SERVICE_HOST !== undefined
  return isVolume ? trustAll : trustIn(trustOwner)
}

function etcdCertificateOf({
  directory,
  etcdSecret: secret,
  etcdNames: names,
}: z.infer<typeof schema>): Pick<OperatorConfig, 'etcdCertificate'> {
  if (secret === undefined) return {}
  if (directory !== undefined)
    throw new InvalidInput(
      '--etcd-secret',
      'is for a cluster, and --directory is for standalone; leave one out',
    )
  if (names.length === 0) throw new InvalidInput('--etcd-names', 'is required with --etcd-secret')
  return { etcdCertificate: { secret, names } }
}

function backupOf({
  directory,
  etcdBackupSecret: backupSecret,
}: z.infer<typeof schema>): Pick<OperatorConfig, 'backupSecret'> {
  if (backupSecret === undefined) return {}
  if (directory !== undefined)
    throw new InvalidInput(
      '--etcd-backup-secret',
      'is for a cluster, and --directory is for standalone; leave one out',
    )
  return { backupSecret }
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

/** Throws InvalidInput for a flag of the other mode. */
function checkMode({ directory, kubeconfig, secretFromEnv }: z.infer<typeof schema>): void {
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
}

function nodesOf({ agentNamespace, agentServiceAccount }: z.infer<typeof schema>): OperatorConfig['nodes'] {
  return { accounts: agentServiceAccount, ...(agentNamespace ? { namespace: agentNamespace } : {}) }
}

function invalidFlag(error: z.ZodError): InvalidInput {
  const [issue] = error.issues
  const setting = issue?.code === 'unrecognized_keys' ? issue.keys[0] : issue?.path[0]
  const flag = String(setting ?? 'settings').replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
  return new InvalidInput(`--${flag}`, issue?.message ?? 'is not valid')
}
