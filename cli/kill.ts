import type { Command } from 'commander'
import { InvalidInput } from '../core/errors.ts'
import { escapeControls } from './escape-controls.ts'
import { killObject, killRun } from './operator-client.ts'
import { socketIn, stateOption } from './options/state.ts'

/** `shellcron kill`: ends active runs. */
export function addKillCommand(program: Command): void {
  program
    .command('kill')
    .description('kill active runs: SIGTERM to every process, SIGKILL after the grace period; outcome Killed')
    .argument(
      '<what>',
      'a ShellCronJob or ShellRun (NAMESPACE/NAME or NAME): all its active runs, and those of ShellRuns of the job; or the id of one run, as `shellcron history` shows it',
    )
    .addOption(stateOption())
    .option('-n, --namespace <namespace>', 'namespace of the object, if <what> is only a name', 'default')
    .action(async (what: string, { state, namespace }: { state: string; namespace: string }) => {
      const attempts = await kill(socketIn(state), what, namespace)
      if (attempts === 0)
        throw new InvalidInput(what, 'has no active run; `shellcron history` lists finished runs')
      process.stdout.write(
        `${escapeControls(what)}: killing ${attempts} ${attempts === 1 ? 'run' : 'runs'}\n`,
      )
    })
}

function kill(socket: string, what: string, fallback: string): Promise<number> {
  // Names of objects have no dots; ids of runs have two or more.
  if (what.includes('.')) return killRun(socket, what)
  const [name = '', namespace = fallback] = what.split('/').toReversed()
  return killObject(socket, namespace, name)
}
