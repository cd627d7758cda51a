import { mkdir, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { InvalidInput } from '../../core/errors.ts'
import { subdomainName } from '../../core/schema/metadata.ts'
import { freePorts, isFree } from '../../platform/free-ports.ts'
import type { Ports } from './etcd-server.ts'

/** The checked arguments of `shellcron up`. */
export interface Setup {
  directory: string
  state: string
  /** The agent's name. */
  name: string
}

/** Checks the arguments and makes the state directory. */
export async function setUp(given: { directory: string; state?: string; name?: string }): Promise<Setup> {
  const directory = await existing(given.directory)
  const state = resolve(given.state ?? join(directory, '.shellcron'))
  const name = given.name ?? hostname().toLowerCase()
  if (!subdomainName.safeParse(name).success)
    throw new InvalidInput(
      '--name',
      `"${name}" is not a valid agent name; use lower-case letters, digits, dashes and dots`,
    )
  await mkdir(state, { recursive: true, mode: 0o700 })
  return { directory, state, name }
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
