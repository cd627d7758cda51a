import type { JobEntry } from '../../core/records/entry.ts'
import { identify } from '../compile/identify.ts'
import type { Context } from '../context.ts'
import type { ObjectName } from '../object-name.ts'
import type { CachedKind, ObjectRef } from '../resources/port.ts'

/** Which changes of objects and entries call for a status, and how urgently. */

/**
 * Whether a user may wait for the status of a changed object. True for every change, except the first one of an object that is older than
 * this term: at a start every object is compiled again, mostly with the same result.
 */
export function urgency({ resources, clock }: Context): (ref: ObjectRef) => boolean {
  const began = clock.now()
  const seen = new Set<string>()
  return ref => {
    const metadata = resources.get(ref.kind as CachedKind, ref.namespace, ref.name)?.metadata
    if (!metadata || ref.kind === 'Node') return false
    const { uid = '' } = metadata
    const isFirst = !seen.has(uid)
    seen.add(uid)
    return !isFirst || identify(metadata).createdAt >= began
  }
}

/** Whether the job's present generation is compiled. If not, its compile result will follow. */
export function isCompiled({ resources, compileResults }: Context, { namespace, name }: ObjectName): boolean {
  const generation = resources.get('ShellCronJob', namespace, name)?.metadata.generation
  return (
    generation === undefined || compileResults.get('ShellCronJob', namespace, name)?.generation === generation
  )
}

/** Whether the job compiled, and its entry of an earlier generation is about to be replaced. */
export function isEntryAwaited(
  { compileResults, mirrors }: Context,
  { kind, namespace, name }: ObjectRef,
): boolean {
  const result = kind === 'ShellCronJob' ? compileResults.get(kind, namespace, name) : undefined
  if (!result || result.blocked) return false
  const isOlder = (entry: JobEntry | undefined) =>
    entry?.uid === result.uid && entry.generation < result.generation
  return mirrors.storedJobs(namespace, name).some(({ value }) => isOlder(value))
}
