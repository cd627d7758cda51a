import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AgentIdentity } from '../../core/records/agent-user.ts'
import { API_VERSION, parseObject, type ShellAgent } from '../../core/schema/objects.ts'
import type { CachedKind, ObjectRef, Objects, Resources } from '../resources/port.ts'

/**
 * Agents of a standalone operator without a file in its directory: the one that `up` enrols on its own machine, and those that
 * `join-command` has made. They are kept in the state directory, and appear as ShellAgents.
 */

const FOLDER = 'agents'

export interface LocalAgent {
  name: string
  pool: string
  labels?: Readonly<Record<string, string>>
  /** Of the identity of the agent on the operator's own machine. Others get theirs when they enrol. */
  id?: string
  /** Of the ShellAgent. An agent that is deleted and made again has another one. */
  uid?: string
}

/** Stores the agent of this machine, and gives it an identity, which it keeps. */
export async function rememberAgent(
  stateDir: string,
  { name, pool }: { name: string; pool: string },
): Promise<AgentIdentity> {
  const known = (await readAgents(stateDir)).find(agent => agent.name === name && agent.pool === pool)
  const id = known?.id ?? randomBytes(8).toString('hex')
  await writeAgent(stateDir, { ...known, name, pool, id })
  return { pool, agent: name, id }
}

/** The identities that `rememberAgent` has given. */
export async function localIdentities(stateDir: string): Promise<AgentIdentity[]> {
  return (await readAgents(stateDir)).flatMap(({ name, pool, id }) => (id ? [{ pool, agent: name, id }] : []))
}

export async function readAgents(stateDir: string): Promise<LocalAgent[]> {
  const folder = join(stateDir, FOLDER)
  const names = await readdir(folder).catch(() => [])
  const texts = await Promise.all(
    names.filter(name => name.endsWith('.json')).map(name => readFile(join(folder, name), 'utf8')),
  )
  return texts.map(text => JSON.parse(text) as LocalAgent)
}

async function writeAgent(stateDir: string, agent: LocalAgent): Promise<void> {
  const folder = join(stateDir, FOLDER)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, `${agent.name}.json`)
  await writeFile(`${path}.new`, JSON.stringify(agent), { mode: 0o600, flush: true })
  await rename(`${path}.new`, path)
}

interface Wish {
  name: string
  /** Default: the present one, or `default`. */
  pool?: string
  /** Default: the present ones. */
  labels?: Readonly<Record<string, string>>
}

/** `Resources` with the local agents, which come and go while the operator runs. */
export interface MadeAgents {
  resources: Resources
  /** Creates the ShellAgent, or sets what is given. 'kept': a file of the directory has it, or it is this machine's own. */
  put(agent: Wish): Promise<'put' | 'kept'>
  remove(name: string): Promise<'removed' | 'kept' | 'absent'>
}

/** Adds the local agents to the objects, unless the directory has one of the same name. Their status is kept in memory. */
export function withAgents(resources: Resources, stateDir: string, known: readonly LocalAgent[]): MadeAgents {
  const local = new Map(known.map(agent => [agent.name, objectOf(agent)]))
  const listeners = new Set<(ref: ObjectRef) => void>()
  const changed = (name: string) => {
    for (const listener of listeners) listener({ kind: 'ShellAgent', namespace: '', name })
  }
  const isInDirectory = (name: string) => resources.get('ShellAgent', '', name) !== undefined
  const isOwn = (name: string) => known.some(agent => agent.name === name && agent.id !== undefined)
  return {
    resources: overlay(resources, local, listeners),
    async put({ name, ...wish }) {
      if (isInDirectory(name) || isOwn(name)) return 'kept'
      const before = local.get(name)
      const uid = before?.metadata.uid ?? `local-${name}-${randomBytes(4).toString('hex')}`
      const { pool = 'default', labels } = before?.spec ?? {}
      const agent: LocalAgent = { name, pool, ...(labels ? { labels } : {}), ...wish, uid }
      await writeAgent(stateDir, agent)
      local.set(name, { ...objectOf(agent), ...(before?.status ? { status: before.status } : {}) })
      changed(name)
      return 'put'
    },
    async remove(name) {
      if (!local.has(name)) return isInDirectory(name) ? 'kept' : 'absent'
      if (isOwn(name)) return 'kept'
      await rm(join(stateDir, FOLDER, `${name}.json`), { force: true })
      local.delete(name)
      changed(name)
      return 'removed'
    },
  }
}

function objectOf({ name, pool, labels, uid }: LocalAgent): ShellAgent {
  return parseObject({
    apiVersion: API_VERSION,
    kind: 'ShellAgent',
    metadata: { name, uid: uid ?? `local-${name}`, generation: 1 },
    spec: { pool, external: {}, ...(labels ? { labels } : {}) },
  }) as ShellAgent
}

function overlay(
  resources: Resources,
  local: Map<string, ShellAgent>,
  listeners: Set<(ref: ObjectRef) => void>,
): Resources {
  const own = (name: string) => (resources.get('ShellAgent', '', name) ? undefined : local.get(name))
  const all = () => [...local.keys()].flatMap(name => own(name) ?? [])
  return {
    ...resources,
    get: <K extends CachedKind>(kind: K, namespace: string, name: string) =>
      resources.get(kind, namespace, name) ??
      (kind === 'ShellAgent' ? (local.get(name) as Objects[K] | undefined) : undefined),
    list: <K extends CachedKind>(kind: K) =>
      kind === 'ShellAgent' ? [...resources.list(kind), ...(all() as Objects[K][])] : resources.list(kind),
    uids: kind => [
      ...resources.uids(kind),
      ...(kind === 'ShellAgent' ? all().flatMap(({ metadata }) => metadata.uid ?? []) : []),
    ],
    onChange(listener) {
      const off = resources.onChange(listener)
      listeners.add(listener)
      return () => {
        off()
        listeners.delete(listener)
      }
    },
    async applyStatus(ref, uid, status) {
      const agent = ref.kind === 'ShellAgent' ? own(ref.name) : undefined
      if (!agent) return resources.applyStatus(ref, uid, status)
      local.set(ref.name, { ...agent, status: status as NonNullable<ShellAgent['status']> })
      return 'applied'
    },
  }
}
