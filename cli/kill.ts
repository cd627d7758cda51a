import type { Command } from 'commander'
import { InvalidInput } from '../core/errors.ts'
import { ANYWHERE, shellRunId } from '../core/keys.ts'
import { killRun, readOverview } from './operator-client.ts'
import { socketIn, stateOption } from './state-option.ts'

/** `shellcron kill`: ends what runs. */
export function addKillCommand(program: Command): void {
  program
    .command('kill')
    .description('end runs: SIGTERM to all that they started, SIGKILL after their grace; recorded as Killed')
    .argument(
      '<what>',
      'a job or a ShellRun, NAMESPACE/NAME: all that it runs; or the id of one run, NAMESPACE.NAME.TIME',
    )
    .addOption(stateOption())
    .action(async (what: string, { state }: { state: string }) => {
      const socket = socketIn(state)
      let attempts = 0
      for (const run of what.includes('/') ? await runsOf(socket, what) : [what])
        attempts += await killRun(socket, run)
      if (attempts === 0)
        throw new InvalidInput(what, 'nothing of it runs; `shellcron history` shows what has ended')
      process.stdout.write(`${what}: ${attempts} ${attempts === 1 ? 'run is' : 'runs are'} being ended\n`)
    })
}

/** Of a job of that name, and of a ShellRun: all its targets have one id. */
async function runsOf(socket: string, what: string): Promise<string[]> {
  const [namespace = '', name = ''] = what.split('/')
  const { objects } = await readOverview(socket)
  const named = objects.filter(({ metadata }) => metadata.namespace === namespace && metadata.name === name)
  const job = named.find(({ kind }) => kind === 'ShellCronJob')
  const run = named.find(({ kind }) => kind === 'ShellRun')
  if (!job && !run) throw new InvalidInput(what, 'there is no such ShellCronJob or ShellRun')
  return [
    ...(job ? job.status.active.map(({ id }) => id) : []),
    ...(run ? [shellRunId({ namespace, name, target: ANYWHERE, uid: run.metadata.uid ?? '' })] : []),
  ]
}
