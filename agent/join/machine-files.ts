import { access, constants, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidInput } from '../../core/errors.ts'
import type { EnrolmentAnswer } from '../../core/records/enrolment.ts'
import { messageOf } from '../../platform/errors.ts'

/** The files of a joined server: `identity/`, `agent.env` for its unit, and `agent.yaml`, which says what the machine allows. */
export interface Places {
  /** `/etc/shellcron`. */
  etc: string
  /** `/var/lib/shellcron`. */
  state: string
}

export const identityIn = ({ etc }: Places): string => join(etc, 'identity')
const envIn = ({ etc }: Places): string => join(etc, 'agent.env')
export const policyIn = ({ etc }: Places): string => join(etc, 'agent.yaml')

const MADE_BY_US = '# Made by `shellcron join`.'

export interface Allowed {
  /** Users of commands on the host. */
  users: readonly string[]
  root: boolean
}

/** Throws InvalidInput if the machine's files cannot be written: before a token is used up. */
export async function makePlaces(places: Places): Promise<void> {
  try {
    await mkdir(places.etc, { recursive: true, mode: 0o755 })
    await mkdir(identityIn(places), { recursive: true, mode: 0o700 })
    await access(places.etc, constants.W_OK)
  } catch (error) {
    throw new InvalidInput('--etc', `cannot write to ${places.etc}: ${messageOf(error)}; run it with sudo`, {
      cause: error,
    })
  }
}

export async function writeEnv(places: Places, { etcd, operator }: EnrolmentAnswer): Promise<void> {
  await writeWhole(envIn(places), `ENDPOINTS=${etcd.join(',')}\nOPERATOR=${operator}\n`)
}

export async function readEnv(
  places: Places,
): Promise<{ endpoints: string[]; operator: string } | undefined> {
  const text = await readFile(envIn(places), 'utf8').catch(() => '')
  const valueOf = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1] ?? ''
  const endpoints = valueOf('ENDPOINTS').split(',').filter(Boolean)
  return endpoints.length > 0 ? { endpoints, operator: valueOf('OPERATOR') } : undefined
}

/** Makes the policy file unless there is one: the machine's owner has the last word. */
export async function makePolicy(places: Places, { users, root }: Allowed): Promise<'made' | 'kept'> {
  const path = policyIn(places)
  if ((await readFile(path, 'utf8').catch(() => undefined)) !== undefined) return 'kept'
  const names = root ? "['*']" : `[${users.map(user => `'${user}'`).join(', ')}]`
  await writeWhole(
    path,
    `${MADE_BY_US} Nothing remote can widen what this file allows; edit it as you like,
# then restart the agent. Commands in containers are always allowed in these namespaces.
allowHost: true
# Users of commands on the host. A job without host.user needs root.
allowedUsers: ${names}
allowedNamespaces: ['*']
allowPrivilegeEscalation: false
terminal: false
`,
  )
  return 'made'
}

/** Removes the files of `join`. A policy that its owner has written stays. */
export async function removeFiles(places: Places): Promise<{ keptPolicy: boolean }> {
  await rm(identityIn(places), { recursive: true, force: true })
  await rm(envIn(places), { force: true })
  const policy = await readFile(policyIn(places), 'utf8').catch(() => undefined)
  const isOurs = policy?.startsWith(MADE_BY_US) ?? true
  if (isOurs) await rm(policyIn(places), { force: true })
  await rm(places.state, { recursive: true, force: true })
  return { keptPolicy: !isOurs }
}

/** Mode 0600, in a directory that everybody may list. */
async function writeWhole(path: string, text: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true, mode: 0o755 })
  await writeFile(`${path}.new`, text, { mode: 0o600 })
  await rename(`${path}.new`, path)
}
