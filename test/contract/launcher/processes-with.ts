import { execFileSync } from 'node:child_process'

/** The processes that have a variable beginning with `mark`. */
export function processesWith(mark: string): string[] {
  const list = `grep -lz '^${mark}' /proc/[0-9]*/environ 2> /dev/null || :`
  return execFileSync('sh', ['-c', list], { encoding: 'utf8' }).split('\n').filter(Boolean)
}
