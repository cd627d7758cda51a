import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { API_VERSION, parseObject, type ShellAgent } from '../../core/schema/objects.ts'
import type { CachedKind, ObjectRef, Objects, Resources } from '../resources/port.ts'
import { agentsFolder, type LocalAgent, writeAgent } from './remember-agent.ts'

/** The agents of remember-agent.ts appear as ShellAgents. */

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
      await rm(join(agentsFolder(stateDir), `${name}.json`), { force: true })
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
