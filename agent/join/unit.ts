import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'
import { promisify } from 'node:util'
import { messageOf } from '../../platform/errors.ts'

const run = promisify(execFile)
const UNIT = 'shellcron-agent.service'
const WITHIN_MS = 60_000

/** Whether systemd runs this machine and knows the agent's unit. */
export async function hasUnit(): Promise<boolean> {
  const isSystemd = await access('/run/systemd/system').then(
    () => true,
    () => false,
  )
  return isSystemd && (await systemctl('cat', UNIT)).ok
}

/** Starts the unit now and at each boot. One that runs already is restarted, for its new identity. */
export async function startUnit(): Promise<{ ok: boolean; said: string }> {
  const enabled = await systemctl('enable', UNIT)
  return enabled.ok ? await systemctl('restart', UNIT) : enabled
}

export async function stopUnit(): Promise<{ ok: boolean; said: string }> {
  return await systemctl('disable', '--now', UNIT)
}

async function systemctl(...args: string[]): Promise<{ ok: boolean; said: string }> {
  try {
    const { stdout } = await run('systemctl', args, { timeout: WITHIN_MS })
    return { ok: true, said: stdout }
  } catch (error) {
    const { stderr } = error as { stderr?: string }
    return { ok: false, said: (stderr || messageOf(error)).trim() }
  }
}
