import type { Command } from 'commander'
import { InvalidInput } from '../core/errors.ts'
import { killRun, readOverview } from './operator-client.ts'
import { socketIn, stateOption } from './state-option.ts'

/** `shellcron kill`: ends what runs. */
export function addKillCommand(program: Command): void {
  program
    .command('kill')
    .description('end runs: SIGTERM to all that they started, SIGKILL after their grace; recorded as Killed')
    .argument('<what>', 'a job, NAMESPACE/NAME: all that it runs; or the id of one run, NAMESPACE.NAME.TIME')
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

async function runsOf(socket: string, job: string): Promise<string[]> {
  const [namespace, name] = job.split('/')
  const { objects } = await readOverview(socket)
  const object = objects.find(
    ({ kind, metadata }) =>
      kind === 'ShellCronJob' && metadata.namespace === namespace && metadata.name === name,
  )
  if (!object) throw new InvalidInput(job, 'there is no such ShellCronJob')
  return object.status.active.map(({ id }) => id)
}
