import type { Template } from '../../core/schema/template.ts'
import { type Blocked, blocked } from './compiled.ts'

/**
 * What the API says and no agent of this version does: told at once, so that no time waits for somebody who could run it, and a fire that is
 * to go in waves does not go everywhere at once.
 */
export function unsupported({ spec: { target } }: Template): Blocked | undefined {
  const not = (field: string, what: string) =>
    blocked(
      'Unsupported',
      `spec.template.spec.target.${field}: this version of ShellCron does not run ${what} yet`,
    )
  if (target.mode === 'Shards') return not('mode', 'mode Shards')
  if (target.maxParallel !== undefined) return not('maxParallel', 'fires in waves')
  return undefined
}
