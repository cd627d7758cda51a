import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Agents that `up` enrols without a file in the directory. They are kept in the state directory (local-agents.ts reads them). */
export const agentsFolder = (stateDir: string): string => join(stateDir, 'agents')

/** Stores an agent. A ShellAgent of the same name in the directory takes precedence. */
export async function rememberAgent(
  stateDir: string,
  { name, pool }: { name: string; pool: string },
): Promise<void> {
  const folder = agentsFolder(stateDir)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, `${name}.json`)
  await writeFile(`${path}.new`, JSON.stringify({ name, pool }), { mode: 0o600 })
  await rename(`${path}.new`, path)
}
