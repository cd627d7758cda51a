import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { InvalidInput } from '../core/errors.ts'
import { DEFAULT_PREFIX } from '../core/keys.ts'

/** Settings of `shellcron agent`, as flags name them. */
const schema = z.strictObject({
  endpoints: z.array(z.string().regex(/^https?:\/\/[^/]+$/, 'must be like https://10.0.0.1:2379')).min(1),
  identity: z.string().min(1),
  name: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'must be lower-case letters, digits, dots and dashes')
    .max(253)
    .default(hostname().toLowerCase()),
  pool: z.string().min(1).default('default'),
  state: z.string().min(1),
  prefix: z.string().endsWith('/').default(DEFAULT_PREFIX),
  localPolicy: z.string().optional(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  /** On SIGTERM: end claiming, wait so long for runs, kill what is left and leave for good. Without it runs go on for the next agent. */
  drainSeconds: z.number().min(0).optional(),
})

export type AgentConfig = z.infer<typeof schema> & {
  user: string
  defaultPolicy: boolean
  policyPath: string
}

/** Checks settings; throws InvalidInput that names the flag. */
export function readConfig(input: Record<string, unknown>): AgentConfig {
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
    user: userInfo().username,
    defaultPolicy: parsed.data.localPolicy === undefined,
    policyPath: parsed.data.localPolicy ?? join('/etc/shellcron', 'agent.yaml'),
  }
}
