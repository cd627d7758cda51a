import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { IDENTITY_FILES } from '../../core/records/identity-files.ts'
import { createBackoff } from '../../platform/backoff.ts'
import type { Clock } from '../../platform/clock.ts'
import { Unavailable } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import { type Identity, readIdentity } from '../startup/identity.ts'
import { RefusedByOperator } from './ask-operator.ts'
import { enrol, renew } from './enrol.ts'

export interface IdentitySettings {
  /** The identity directory. */
  dir: string
  /** The operator's URL. Without it nothing is enrolled or renewed. */
  operator: string | undefined
  /** For a node's agent: the file with its projected ServiceAccount token, and the one with the operator's authority. */
  enrolTokenFile: string | undefined
  caFile: string | undefined
}

const backoff = createBackoff({ firstMs: 500, longestMs: 10_000 })

/**
 * The identity to start with. Waits for the operator where it is needed:
 *
 *   no certificate ──────────────▶ enrol with the token file
 *   expired ─▶ renew ─▶ refused ─▶ enrol with the token file
 *   valid ─▶ use it
 *
 * Throws InvalidInput without a certificate and a token file, RefusedByOperator if the operator says no.
 */
export async function usableIdentity(
  settings: IdentitySettings,
  { clock, log }: { clock: Clock; log: Log },
  stop: AbortSignal,
): Promise<Identity> {
  for (let failures = 0; ; ) {
    try {
      return await attempt(settings, clock.now(), stop)
    } catch (error) {
      stop.throwIfAborted()
      if (!(error instanceof Unavailable)) throw error
      log.warn({ error: error.message }, 'identity.waits')
      await clock.sleep(backoff(++failures), stop)
    }
  }
}

async function attempt(settings: IdentitySettings, now: number, stop: AbortSignal): Promise<Identity> {
  const { dir, operator, enrolTokenFile } = settings
  const mayEnrol = operator !== undefined && enrolTokenFile !== undefined
  if (mayEnrol && !(await isThere(join(dir, IDENTITY_FILES.cert)))) await enrolWithFile(settings, stop)
  const identity = await readIdentity(dir)
  if (identity.validTo > now || operator === undefined) return identity
  try {
    await renew({ url: operator, dir }, stop)
  } catch (error) {
    if (!(error instanceof RefusedByOperator) || !mayEnrol) throw error
    await enrolWithFile(settings, stop)
  }
  return await readIdentity(dir)
}

export async function enrolWithFile(settings: IdentitySettings, stop?: AbortSignal): Promise<void> {
  const { dir, operator = '', enrolTokenFile = '', caFile } = settings
  const token = (await readFile(enrolTokenFile, 'utf8')).trim()
  const ca = await readFile(caFile ?? join(dir, IDENTITY_FILES.ca), 'utf8')
  await enrol({ operator: { url: operator, ca }, token, dir }, stop)
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
