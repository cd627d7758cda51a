import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { API_VERSION, parseObject, type ShellAgent } from '../../core/schema/objects.ts'
import type { CachedKind, Objects, Resources } from '../resources/port.ts'

/** Agents that `up` enrols without a file in the directory. They are kept in the state directory, and appear as ShellAgents. */

const FOLDER = 'agents'

/** Stores an agent. A ShellAgent of the same name in the directory takes precedence. */
export async function rememberAgent(
  stateDir: string,
  { name, pool }: { name: string; pool: string },
): Promise<void> {
  const folder = join(stateDir, FOLDER)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, `${name}.json`)
  await writeFile(`${path}.new`, JSON.stringify({ name, pool }), { mode: 0o600 })
  await rename(`${path}.new`, path)
}

export async function localAgents(stateDir: string): Promise<ShellAgent[]> {
  const folder = join(stateDir, FOLDER)
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
