import { readFileSync } from 'node:fs'

/** ShellCron's version, from package.json beside the program. */
export const version: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version
