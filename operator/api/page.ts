import type { Condition } from '../../core/schema/status.ts'

/** An object with the status that was last written. */
export interface ShownObject {
  kind: string
  metadata: { namespace?: string | undefined; name: string }
  status?: { conditions?: readonly Condition[] | undefined } | undefined
}

export interface Page {
  objects: ShownObject[]
  /** How many ShellCronJobs and ShellRuns are left out. */
  more: number
}

export interface RowRef {
  kind: 'ShellCronJob' | 'ShellRun'
  namespace: string
  name: string
}

/**
 * The ShellCronJobs and ShellRuns in the order of the table, and those that may be unable to run. It is kept object by object, so that a look
 * at ten thousand jobs costs as much as its page, and not as much as all of them.
 */
export interface PageIndex {
  /** The object exists. `status`: what was last written of it, if anything. */
  set(ref: RowRef, status: ShownObject['status']): void
  delete(ref: RowRef): void
  clear(): void
  /** The first `rows` rows, and those of the others that cannot run. `look` returns the object as it is now. */
  page(rows: number, look: (ref: RowRef) => ShownObject | undefined): Page
}

/** Of the jobs that are not among the first, at most this many that cannot run are added. */
const MOST_REFUSED = 100

interface Row {
  ref: RowRef
  name: string
}

export function createPageIndex(): PageIndex {
  const rows = new Map<string, Row>()
  const refused = new Set<Row>()
  let sorted: readonly Row[] | undefined
  const inOrder = () => (sorted ??= [...rows.values()].sort(byName))
  return {
    set(ref, status) {
      const row = rows.get(idOf(ref)) ?? { ref, name: `${ref.namespace}/${ref.name}` }
      if (!rows.has(idOf(ref))) {
        rows.set(idOf(ref), row)
        sorted = undefined
      }
      if (cannotRun(ref.kind, status)) refused.add(row)
      else refused.delete(row)
    },
    delete(ref) {
      const row = rows.get(idOf(ref))
      if (!row) return
      rows.delete(idOf(ref))
      refused.delete(row)
      sorted = undefined
    },
    clear() {
      rows.clear()
      refused.clear()
      sorted = undefined
    },
    page(count, look) {
      const all = inOrder()
      const shown = all.slice(0, count).flatMap(({ ref }) => look(ref) ?? [])
      const objects = [...shown, ...refusedAfter(all, { count, refused, look })]
      return { objects, more: all.length - objects.length }
    },
  }
}

/** Jobs that cannot run among the rows from `count` on. */
function refusedAfter(
  all: readonly Row[],
  of: { count: number; refused: ReadonlySet<Row>; look: (ref: RowRef) => ShownObject | undefined },
): ShownObject[] {
  const found: ShownObject[] = []
  if (of.refused.size === 0) return found
  for (let i = of.count; i < all.length && found.length < MOST_REFUSED; i++) {
    const row = all[i]
    const object = row && of.refused.has(row) ? of.look(row.ref) : undefined
    if (object) found.push(object)
  }
  return found
}

function byName(a: Row, b: Row): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}

function idOf({ kind, namespace, name }: RowRef): string {
  return `${kind}/${namespace}/${name}`
}

function cannotRun(kind: string, status: ShownObject['status']): boolean {
  const isNo = ({ type, status }: Condition) =>
    (type === 'Ready' || type === 'HasTargets') && status === 'False'
  return kind === 'ShellCronJob' && (status?.conditions ?? []).some(isNo)
}
