import type { Template } from '../../core/schema/template.ts'
import { type Blocked, blocked } from './compiled.ts'

/** What the API says and no agent of this version does: told at once, so that what is to go in waves does not go everywhere at once. */
export function unsupported({ spec: { target } }: Template): Blocked | undefined {
  if (target.maxParallel === undefined) return undefined
  return blocked(
    'Unsupported',
    'spec.template.spec.target.maxParallel: this version of ShellCron runs no fires in waves yet; leave it out to run everywhere at once',
  )
}
