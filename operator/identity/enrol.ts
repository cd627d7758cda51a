import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type AgentIdentity, agentUser } from '../../core/records/agent-user.ts'
import { IDENTITY_FILES } from '../../core/records/identity-files.ts'
import type { Authority } from './authority.ts'
import { type Identity, pemOf } from './identity.ts'

export interface Enrolment extends AgentIdentity {
  /** How long the certificate is valid, h. */
  hours: number
}

/** The contents of an agent's identity directory, by file name. */
export async function issueIdentity(
  { identity, authority }: { identity: Identity; authority: Authority },
  { hours, ...agent }: Enrolment,
): Promise<Record<string, string>> {
  const { cert, key } = await authority.client(agentUser(agent), hours)
  const { privatePem } = await identity.pool(agent.pool)
  return {
    [IDENTITY_FILES.ca]: authority.caCert,
    [IDENTITY_FILES.cert]: cert,
    [IDENTITY_FILES.key]: key,
    [IDENTITY_FILES.operatorKey]: pemOf(identity.publicKey),
    [IDENTITY_FILES.poolKey]: privatePem,
  }
}

/** Writes files of mode 0600 in a directory of mode 0700. Each file appears whole or not at all. */
export async function writeIdentity(dir: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  for (const [name, text] of Object.entries(files)) {
    const path = join(dir, name)
    await writeFile(`${path}.new`, text, { mode: 0o600 })
    await rename(`${path}.new`, path)
  }
}
