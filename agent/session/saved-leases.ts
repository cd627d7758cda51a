import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'

/** The leases that may hold an agent's registration, kept in its state directory for the next process. */

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
  /** The lease before, as long as the registration may still be under it. */
  former: z.string().optional(),
})

/** Empty: none were saved, or those of another agent. */
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
 * False if the disk refuses. The file of an earlier process then stays. That does no harm: a registration is resumed only under a lease
 * that the file names, and those leases are this agent's.
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
