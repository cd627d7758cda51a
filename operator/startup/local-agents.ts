import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { API_VERSION, parseObject, type ShellAgent } from '../../core/schema/objects.ts'
import type { CachedKind, Objects, Resources } from '../resources/port.ts'
import { agentsFolder } from './remember-agent.ts'

/** The agents that `up` has enrolled appear as ShellAgents. */

export async function localAgents(stateDir: string): Promise<ShellAgent[]> {
  const folder = agentsFolder(stateDir)
  const names = await readdir(folder).catch(() => [])
  const texts = await Promise.all(
    names.filter(name => name.endsWith('.json')).map(name => readFile(join(folder, name), 'utf8')),
  )
  return texts.map(text => {
    const { name, pool } = JSON.parse(text) as { name: string; pool: string }
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
