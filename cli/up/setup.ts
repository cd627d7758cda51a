import { stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { InvalidInput } from '../../core/errors.ts'
import { subdomainName } from '../../core/schema/metadata.ts'
import { freePorts, isFree } from '../../platform/free-ports.ts'
import { makeStateDirectory } from '../../platform/state-directory.ts'
import { resolveTrusted, type Trust, trustIn } from '../../platform/trust.ts'
import { uidOf } from '../../platform/users.ts'
import type { Ports } from './etcd-server.ts'
import { type ListenAddress, listenAddress } from './listen.ts'

/** The checked arguments of `shellcron up`. */
export interface Setup {
  directory: string
  state: string
  /** The agent's name. */
  name: string
  /** Where other servers reach this one; undefined: nothing but this machine does. */
  listen: ListenAddress | undefined
  /** Who may own and write both directories. */
  trust: Trust
}

/** Checks the arguments. It writes nothing: `makeState` does. */
export async function judgeFlags(given: {
  directory: string
  state?: string
  name?: string
  listen?: string
  trustOwner: readonly string[]
}): Promise<Setup> {
  const directory = await existing(given.directory)
  const name = given.name ?? hostname().toLowerCase()
  if (!subdomainName.safeParse(name).success)
    throw new InvalidInput(
      '--name',
      `"${name}" is not a valid agent name; use lower-case letters, digits, dashes and dots`,
    )
  const listen = given.listen === undefined ? undefined : await listenAddress(given.listen)
  const trust = trustOf(given.trustOwner)
  const jobs = await resolveTrusted(directory, { trust })
  if (jobs.kind === 'distrusted') throw new InvalidInput('directory', jobs.why)
  return { directory, state: resolve(given.state ?? join(directory, '.shellcron')), name, listen, trust }
}

/** Makes the state directory. Throws InvalidInput if other users could change what is in it. */
export async function makeState({ state, trust }: Setup): Promise<void> {
  const made = await makeStateDirectory(state, trust)
  if (made.kind === 'distrusted')
    throw new InvalidInput('--state', `${made.why}; or name another directory with --state`)
}

function trustOf(users: readonly string[]): Trust {
  const unknown = users.find(user => uidOf(user) === undefined)
  if (unknown !== undefined) throw new InvalidInput('--trust-owner', `this machine has no user "${unknown}"`)
  return trustIn(users)
}

async function existing(directory: string): Promise<string> {
  const path = resolve(directory)
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory()) return path
  throw new InvalidInput(
    'directory',
    `"${path}" is not a directory; create it, or name one with ShellCronJobs in YAML files`,
  )
}

/** The ports of an etcd whose client port is given. */
export async function portsFor(client: number): Promise<Ports> {
  if (!(await isFree(client)))
    throw new InvalidInput(
      '--etcd-port',
      `${client} is in use; name another port, or leave the flag out to take a free one`,
    )
  const [peer = 0] = await freePorts(1)
  return { client, peer }
}
