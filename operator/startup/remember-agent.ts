import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AgentIdentity } from '../../core/records/agent-user.ts'

/**
 * Agents of a standalone operator without a file in its directory: the one that `up` enrols on its own machine, and those that
 * `join-command` has made. They are kept in the state directory, and appear as
 * ShellAgents (local-agents.ts).
 */

export const agentsFolder = (stateDir: string): string => join(stateDir, 'agents')

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
  const folder = agentsFolder(stateDir)
  const names = await readdir(folder).catch(() => [])
  const texts = await Promise.all(
    names.filter(name => name.endsWith('.json')).map(name => readFile(join(folder, name), 'utf8')),
  )
  return texts.map(text => JSON.parse(text) as LocalAgent)
}

export async function writeAgent(stateDir: string, agent: LocalAgent): Promise<void> {
  const folder = agentsFolder(stateDir)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, `${agent.name}.json`)
  await writeFile(`${path}.new`, JSON.stringify(agent), { mode: 0o600, flush: true })
  await rename(`${path}.new`, path)
}
