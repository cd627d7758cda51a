/** Fields of other schedulers that people look for here, in lower case, and what does the same. */
const INSTEAD: ReadonlyMap<string, string> = new Map(
  Object.entries({
    maxconcurrentruns:
      'spec.concurrencyPolicy limits a job to one run at a time, spec.template.spec.target.maxParallel limits a fire in mode All; a limit of runs is set by maxConcurrentRuns in a ShellPolicy (for each job) or a ShellAgent (for a machine)',
    concurrencygroup:
      'spec.concurrencyPolicy counts the runs of one job; to exclude other jobs on a machine, use flock in the scripts, or one script for all',
    year: 'a schedule has no year; to run once, create a ShellRun',
    timeout: 'use spec.template.spec.activeDeadlineSeconds',
    ttl: 'ShellRuns have spec.ttlSecondsAfterFinished',
    retries: 'use spec.template.spec.backoffLimit',
    maxretries: 'use spec.template.spec.backoffLimit',
    restartpolicy: 'use spec.template.spec.backoffLimit',
    jobtemplate: 'use spec.template',
    command: 'use spec.template.spec.script; spec.template.spec.shell names the program that runs it',
    args: 'use spec.template.spec.script',
    image: 'commands run on hosts or in running containers: set spec.template.spec.host or .container',
    user: 'use spec.template.spec.host.user',
    cron: 'use spec.schedule',
    dependson: 'jobs do not depend on each other; call the steps from one script',
  }),
)

/** Other names for the same wish. */
const ALIASES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    maxconcurrency: 'maxconcurrentruns',
    concurrencylimit: 'maxconcurrentruns',
    parallelism: 'maxconcurrentruns',
    concurrencykey: 'concurrencygroup',
    mutex: 'concurrencygroup',
    timeoutseconds: 'timeout',
    retry: 'retries',
    expression: 'cron',
    crontab: 'cron',
    runas: 'user',
    runasuser: 'user',
  }),
)

/** What to use instead of a field that does not exist; undefined: it is not a known wish. */
export function insteadOf(field: string): string | undefined {
  const key = field.toLowerCase().replaceAll(/[^a-z]/g, '')
  const name = ALIASES.get(key) ?? key
  return INSTEAD.get(name)
}
