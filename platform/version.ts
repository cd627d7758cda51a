import { readFileSync } from 'node:fs'

/** ShellCron's version, from the program's package.json. */
export const version: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version
