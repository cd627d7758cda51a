import type { Command } from 'commander'
import { explain } from '../core/timetable/explain.ts'

export function addExplainCommand(program: Command): void {
  program
    .command('explain')
    .description('explain in English when a schedule fires')
    .argument('<schedule>', 'a cron line, in quotes')
    .option('--hash-key <namespace/name>', 'the job for which H is computed', 'default/example')
    .action((schedule: string, { hashKey }: { hashKey: string }) => {
      process.stdout.write(`${explain(schedule, hashKey)}\n`)
    })
}
