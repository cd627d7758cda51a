import type { Command } from 'commander'
import { InvalidInput } from '../core/errors.ts'
import { killObject, killRun } from './operator-client.ts'
import { socketIn, stateOption } from './options/state.ts'

/** `shellcron kill`: ends what runs. */
export function addKillCommand(program: Command): void {
  program
    .command('kill')
    .description('end runs: SIGTERM to all that they started, SIGKILL after their grace; recorded as Killed')
    .argument(
      '<what>',
      'a ShellCronJob or a ShellRun, NAMESPACE/NAME or NAME: all that it runs; or the id of one run, NAMESPACE.NAME.TIME',
    )
    .addOption(stateOption())
    .option('-n, --namespace <namespace>', 'of the object, where its name does not say it', 'default')
    .action(async (what: string, { state, namespace }: { state: string; namespace: string }) => {
      const attempts = await kill(socketIn(state), what, namespace)
      if (attempts === 0)
        throw new InvalidInput(what, 'nothing of it runs; `shellcron history` shows what has ended')
      process.stdout.write(`${what}: ${attempts} ${attempts === 1 ? 'run is' : 'runs are'} being ended\n`)
    })
}

function kill(socket: string, what: string, other: string): Promise<number> {
  // Names of objects have no dots, ids of runs have two.
  if (what.includes('.')) return killRun(socket, what)
  const [name = '', namespace = other] = what.split('/').toReversed()
  return killObject(socket, namespace, name)
}
