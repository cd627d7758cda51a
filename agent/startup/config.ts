import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import { DEFAULT_PREFIX } from '../../core/keys.ts'
import type { AgentIdentity } from '../../core/records/agent-user.ts'
import { subdomainName } from '../../core/schema/metadata.ts'
import { bytesOf, quantity } from '../../core/schema/values.ts'
import { type Trust, trustAll, trustIn } from '../../platform/trust.ts'
import { existingUser } from '../../platform/users.ts'

/** Settings of `shellcron agent`, named like its flags. */
const schema = z.strictObject({
  endpoints: z.array(z.string().regex(/^https?:\/\/[^/]+$/, 'must be like https://10.0.0.1:2379')).min(1),
  identity: z.string().min(1),
  /** Default: those of the certificate. */
  name: subdomainName.optional(),
  pool: z.string().min(1).optional(),
  state: z.string().min(1),
  prefix: z.string().endsWith('/').default(DEFAULT_PREFIX),
  localPolicy: z.string().optional(),
  /** The operator's ingest. Without it, output stays on this machine, within the quota. */
  operator: z
    .string()
    .regex(
      /^(https:\/\/[^/]+|unix:.+)$/,
      'must be like https://10.0.0.1:9443 or unix:/run/shellcron/ingest.sock',
    )
    .optional(),
  /** For a node's agent: it enrols with the ServiceAccount token in this file, at an operator of this authority. */
  enrolTokenFile: z.string().min(1).optional(),
  ca: z.string().min(1).optional(),
  /** Limit of ended and unstored output, as a Kubernetes quantity. */
  spoolQuota: quantity('0', '1000Ti').default('1Gi'),
  /** How many processes all runs of this machine together may have. Default: 80 % of what the machine allows. */
  pidsLimit: z.number().int().min(1).optional(),
  /** A file that exists while this agent takes part in its pool. */
  readyFile: z.string().min(1).optional(),
  /** Sockets of container runtimes. If empty, the agent looks for the well-known sockets. */
  runtimeEndpoint: z
    .array(z.string().regex(/^unix:\/\/\//, 'must be like unix:///run/containerd/containerd.sock'))
    .default([]),
  /**
   * Runs commands in the namespaces of PID 1. For a privileged pod with hostPID that mounts its state directory from the same path of the
   * host.
   */
  hostNamespaces: z.boolean().default(false),
  /** Users who may own the state directory, the identity and the local policy, besides root and the agent's own. */
  trustOwner: z.array(z.string().refine(...existingUser)).default([]),
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  /** Drain on SIGTERM: stop claiming, wait this long for runs, kill the rest, leave. Without it, runs go on for the next agent. */
  drainSeconds: z.number().min(0).optional(),
})

type Settings = Omit<z.infer<typeof schema>, 'spoolQuota'> & {
  /** Bytes. */
  spoolQuota: number
  user: string
  trust: Trust
  /** In a pod the volume with the identity belongs to the pod alone: its modes are those that Kubernetes gives. */
  identityTrust: Trust
  defaultPolicy: boolean
  policyPath: string
  /** The soft limit of open files from before Node raised it. bin/shellcron sets it. */
  openFiles: string | undefined
}

/** The settings of an agent that knows who it is. */
export type AgentConfig = Settings & { name: string; pool: string }

/** Throws InvalidInput if the settings contradict the certificate: etcd and the operator would refuse the agent. */
export function configFor(settings: Settings, certified: AgentIdentity | undefined): AgentConfig {
  const { name = certified?.agent ?? hostname().toLowerCase(), pool = certified?.pool ?? 'default' } =
    settings
  for (const [flag, given, own] of [
    ['--name', name, certified?.agent ?? name],
    ['--pool', pool, certified?.pool ?? pool],
  ] as const)
    if (given !== own)
      throw new InvalidInput(
        flag,
        `is ${given}, but the certificate in ${settings.identity} is of ${own}; leave the flag out`,
      )
  return { ...settings, name, pool }
}

/** Checks the settings. Throws InvalidInput that names the flag. */
export function readConfig(input: Record<string, unknown>): Settings {
  const parsed = schema.safeParse(input)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const flag = String(issue?.path[0] ?? 'settings').replaceAll(
      /[A-Z]/g,
      letter => `-${letter.toLowerCase()}`,
    )
    throw new InvalidInput(`--${flag}`, issue?.message ?? 'is not valid')
  }
  return {
    ...parsed.data,
    spoolQuota: bytesOf(parsed.data.spoolQuota),
    user: userInfo().username,
    trust: trustIn(parsed.data.trustOwner),
    identityTrust: isInPod() ? trustAll : trustIn(parsed.data.trustOwner),
    openFiles: readOpenFiles(process.env.SHELLCRON_OPEN_FILES),
    defaultPolicy: parsed.data.localPolicy === undefined,
    // In a pod the node's own file counts, not one of the image.
    policyPath:
      parsed.data.localPolicy ??
      join(parsed.data.hostNamespaces ? '/proc/1/root' : '/', 'etc/shellcron/agent.yaml'),
  }
}

/** Kubernetes sets this variable in every pod. */
export function isInPod(): boolean {
  return process.env.KUBERNETES_SERVICE_HOST !== undefined
}

function readOpenFiles(text: string | undefined): string | undefined {
  if (text === undefined || /^(\d+|unlimited)$/.test(text)) return text
  throw new InvalidInput('SHELLCRON_OPEN_FILES', `"${text}": must be a number or unlimited`)
}
