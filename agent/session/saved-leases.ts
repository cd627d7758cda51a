import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'

/** By which leases an agent's registration may live, as its state directory tells the next life of it. */

const FILE = 'session.json'

interface Whose {
  stateDir: string
  pool: string
  agent: string
}

const saved = z.object({
  pool: z.string(),
  agent: z.string(),
  lease: z.string(),
  /** The one before, if it is not known that the registration has left it. */
  former: z.string().optional(),
})

/** Empty: none, or another agent's. */
export async function savedLeases({ stateDir, pool, agent }: Whose): Promise<string[]> {
  try {
    const read = saved.parse(JSON.parse(await readFile(join(stateDir, FILE), 'utf8')))
    if (read.pool !== pool || read.agent !== agent) return []
    return [read.lease, ...(read.former === undefined ? [] : [read.former])]
  } catch {
    return []
  }
}

/**
 * False if the disk refuses. What an older life has saved is then left: no registration lives by that, if not by one of the leases it names,
 * and those are this agent's.
 */
export async function saveLeases(
  { stateDir, pool, agent, log }: Whose & { log: Log },
  [lease, former]: [lease: string, former?: string],
): Promise<boolean> {
  const path = join(stateDir, FILE)
  try {
    await writeFile(`${path}.new`, JSON.stringify({ pool, agent, lease, former }), { mode: 0o600 })
    await rename(`${path}.new`, path)
    return true
  } catch (error) {
    log.warn({ error: messageOf(error) }, 'session.notSaved')
    await rm(`${path}.new`, { force: true }).catch(() => undefined)
    return false
  }
}
