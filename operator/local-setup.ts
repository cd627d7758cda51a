import { InvalidInput } from '../core/errors.ts'
import type { AgentIdentity } from '../core/records/agent-user.ts'
import { subdomainName } from '../core/schema/metadata.ts'
import { openAuthority } from './identity/authority.ts'
import { issueIdentity, writeIdentity } from './identity/enrol.ts'
import { openIdentity } from './identity/identity.ts'
import { fileKeyStore, keysDir } from './identity/keystore.ts'
import { rememberAgent } from './startup/remember-agent.ts'
import { secretsFromEnv, variablesOf } from './startup/secret-from-env.ts'

/** What `up` needs of the operator. It imports little, because `up` keeps it in memory. */

/** How long a local agent's certificate is valid, h. Each enrolment, and so each start of `up`, issues a new one. */
const LOCAL_HOURS = 24 * 365

/**
 * Standalone: enrols an agent on the operator's own machine. Fills its identity directory, and registers it as a ShellAgent of the pool,
 * which the operator reads at its next start. Repeating it renews the certificate.
 */
export async function enrolLocal(of: {
  stateDir: string
  name: string
  pool: string
  dir: string
}): Promise<AgentIdentity> {
  // The name becomes that of a file.
  if (!subdomainName.safeParse(of.name).success)
    throw new InvalidInput('name', `"${of.name}" is no agent's name`)
  const store = await fileKeyStore(keysDir(of.stateDir))
  const trust = { identity: await openIdentity(store), authority: await openAuthority(store) }
  const agent = await rememberAgent(of.stateDir, of)
  await writeIdentity(of.dir, await issueIdentity(trust, { ...agent, hours: LOCAL_HOURS }))
  return agent
}

/** The variables that `--secret-from-env` names. Throws InvalidInput as the operator's start would. */
export function variablesOfSecrets(
  settings: readonly string[],
  env: Record<string, string | undefined>,
): string[] {
  secretsFromEnv(settings, env)
  return variablesOf(settings)
}

/** Issues a certificate for an etcd member on this machine. `ca` is the authority that its clients' certificates come from. PEM. */
export async function certifyEtcd(of: {
  stateDir: string
  names: string[]
}): Promise<{ ca: string; cert: string; key: string }> {
  const authority = await openAuthority(await fileKeyStore(keysDir(of.stateDir)))
  return { ca: authority.caCert, ...(await authority.server(of.names, LOCAL_HOURS)) }
}
