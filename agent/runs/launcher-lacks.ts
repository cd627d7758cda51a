import type { Command } from '../../core/records/entry.ts'

/** What a command on a host needs of its launcher. Without that feature it is not started: it must not run with a part missing. */
const NEEDS: readonly { feature: string; isNeeded(command: Command): boolean; message: string }[] = [
  {
    feature: 'tty',
    isNeeded: ({ tty }) => tty,
    message: 'tty: true needs a pseudo-terminal, which this launcher cannot make on this platform',
  },
  {
    feature: 'resources',
    isNeeded: ({ host }) => host?.resources !== undefined,
    message:
      'host.resources needs cgroups, and this launcher cannot write any: see Limits in docs/servers.md',
  },
  {
    feature: 'script',
    isNeeded: ({ interpreter }) => interpreter !== undefined,
    message:
      'the interpreter line of the script needs Linux and a newer launcher, which starts as soon as nothing runs; or set shell',
  },
]

/** Why the launcher cannot run the command as it is written. undefined: it can. */
export function launcherLacks(command: Command, features: ReadonlySet<string>): string | undefined {
  return NEEDS.find(need => need.isNeeded(command) && !features.has(need.feature))?.message
}
