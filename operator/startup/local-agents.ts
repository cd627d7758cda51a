import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AgentIdentity } from '../../core/records/agent-user.ts'
import { API_VERSION, parseObject, type ShellAgent } from '../../core/schema/objects.ts'
import type { CachedKind, Objects, Resources } from '../resources/port.ts'

/** Agents that `up` enrols without a file in the directory. They are kept in the state directory, and appear as ShellAgents. */

const FOLDER = 'agents'

/** Stores an agent, and gives it an identity, which it keeps. A ShellAgent of the same name in the directory takes precedence. */
export async function rememberAgent(
  stateDir: string,
  { name, pool }: { name: string; pool: string },
): Promise<AgentIdentity> {
  const folder = join(stateDir, FOLDER)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const known = (await readAgents(stateDir)).find(agent => agent.name === name && agent.pool === pool)
  const id = known?.id ?? randomBytes(8).toString('hex')
  const path = join(folder, `${name}.json`)
  await writeFile(`${path}.new`, JSON.stringify({ name, pool, id }), { mode: 0o600 })
  await rename(`${path}.new`, path)
  return { pool, agent: name, id }
}

interface LocalAgent {
  name: string
  pool: string
  /** Of its identity. Files of before 0.14 have none. */
  id?: string
}

async function readAgents(stateDir: string): Promise<LocalAgent[]> {
  const folder = join(stateDir, FOLDER)
  const names = await readdir(folder).catch(() => [])
  const texts = await Promise.all(
    names.filter(name => name.endsWith('.json')).map(name => readFile(join(folder, name), 'utf8')),
  )
  return texts.map(text => JSON.parse(text) as LocalAgent)
}

/** The identities that `rememberAgent` has given. */
export async function localIdentities(stateDir: string): Promise<AgentIdentity[]> {
  return (await readAgents(stateDir)).flatMap(({ name, pool, id }) => (id ? [{ pool, agent: name, id }] : []))
}

export async function localAgents(stateDir: string): Promise<ShellAgent[]> {
  return (await readAgents(stateDir)).map(({ name, pool }) => {
    const metadata = { name, uid: `local-${name}`, generation: 1 }
    return parseObject({
      apiVersion: API_VERSION,
      kind: 'ShellAgent',
      metadata,
      spec: { pool, external: {} },
    }) as ShellAgent
  })
}

/** Adds these agents to the objects, unless the directory has one of the same name. Their status is kept in memory. */
export function withAgents(resources: Resources, agents: readonly ShellAgent[]): Resources {
  const local = new Map(agents.map(agent => [agent.metadata.name, agent]))
  const own = (name: string) => (resources.get('ShellAgent', '', name) ? undefined : local.get(name))
  return {
    ...resources,
    get: <K extends CachedKind>(kind: K, namespace: string, name: string) =>
      resources.get(kind, namespace, name) ??
      (kind === 'ShellAgent' ? (local.get(name) as Objects[K] | undefined) : undefined),
    list: <K extends CachedKind>(kind: K) =>
      kind === 'ShellAgent'
        ? [...resources.list(kind), ...([...local.keys()].flatMap(name => own(name) ?? []) as Objects[K][])]
        : resources.list(kind),
    uids: kind => [
      ...resources.uids(kind),
      ...(kind === 'ShellAgent' ? [...local.keys()].flatMap(name => own(name)?.metadata.uid ?? []) : []),
    ],
    async applyStatus(ref, uid, status) {
      const agent = ref.kind === 'ShellAgent' ? own(ref.name) : undefined
      if (!agent) return resources.applyStatus(ref, uid, status)
      local.set(ref.name, { ...agent, status: status as NonNullable<ShellAgent['status']> })
      return 'applied'
    },
  }
}
