import type { Condition } from '../../core/schema/status.ts'

/** An object with the status that was last written. */
export interface ShownObject {
  kind: string
  metadata: { namespace?: string | undefined; name: string }
  status?: { conditions?: readonly Condition[] | undefined } | undefined
}

interface Page {
  objects: ShownObject[]
  /** How many ShellCronJobs and ShellRuns are left out. */
  more: number
}

/** Of the jobs that are not on the page, at most this many that cannot run are added. */
const MOST_REFUSED = 100

/**
 * The objects that a table of so many rows needs: the first ShellCronJobs and ShellRuns by name, those that cannot run, and the agents. So
 * the cost of a look at ten thousand jobs is that of a screen.
 */
export function pageOf(objects: readonly ShownObject[], rows: number): Page {
  const all = objects
    .filter(({ kind }) => kind === 'ShellCronJob' || kind === 'ShellRun')
    .map(object => ({ object, name: `${object.metadata.namespace ?? ''}/${object.metadata.name}` }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    .map(({ object }) => object)
  const refused = all.slice(rows).filter(cannotRun).slice(0, MOST_REFUSED)
  const shown = [...all.slice(0, rows), ...refused]
  const agents = objects.filter(({ kind }) => kind === 'ShellAgent')
  return { objects: [...shown, ...agents], more: all.length - shown.length }
}

function cannotRun({ kind, status }: ShownObject): boolean {
  const isNo = ({ type, status }: Condition) =>
    (type === 'Ready' || type === 'HasTargets') && status === 'False'
  return kind === 'ShellCronJob' && (status?.conditions ?? []).some(isNo)
}
