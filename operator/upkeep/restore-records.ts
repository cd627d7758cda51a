import type { Ref } from '../../core/keys.ts'
import type { Entry } from '../../core/records/entry.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Mirror } from '../../store/mirror.ts'
import { deleteKnown, putKnown } from '../../store/protocol/operator-writes.ts'
import type { MaybeAbsent, Versioned } from '../../store/protocol/versioned.ts'
import type { Context } from '../context.ts'
import type { StoredIn } from '../etcd-mirrors.ts'
import type { Queues } from '../event-handlers.ts'
import { nameKey } from '../object-name.ts'
import type { ObjectRef } from '../resources/port.ts'

/**
 * Restores what another process changed under `jobs/`, `runs/`, `members/` and `pools/`, which only the operator writes, and reports it with
 * an Event and a log line:
 *
 *   Signature   an entry that the operator did not sign
 *   Stale       an older entry, an entry of an object that is gone, a deletion, or another value of a member or pool
 *
 * An entry is put back as it was, as a new write, so that agents believe it. A change is the operator's own if this process expected it, or
 * if it is newer than any seen before: a former leader's.
 */
type Deps = Pick<Context, 'etcd' | 'keys' | 'log' | 'mirrors' | 'resources' | 'identity' | 'writes'>

interface Watched<T extends Entry> {
  kind: 'ShellCronJob' | 'ShellRun'
  mirror: Mirror<T>
  parse(key: string): Ref | undefined
  stored(namespace: string, name: string): StoredIn<T>[]
  queue: Queues['jobs']
}

type Reason = 'Signature' | 'Stale'

export function restoreRecords(deps: Deps, queues: Queues): void {
  const { mirrors, keys } = deps
  restoreEntries(deps, {
    kind: 'ShellCronJob',
    mirror: mirrors.jobs,
    parse: keys.parseJob,
    stored: mirrors.storedJobs,
    queue: queues.jobs,
  })
  restoreEntries(deps, {
    kind: 'ShellRun',
    mirror: mirrors.runs,
    parse: keys.parseRun,
    stored: mirrors.storedRuns,
    queue: queues.runs,
  })
  restoreFleet(deps, queues)
}

function restoreEntries<T extends Entry>(deps: Deps, of: Watched<T>): void {
  const { writes } = deps
  /** The last good entry under each key that another process has changed, until it is restored. */
  const good = new Map<string, T>()
  for (const { value } of of.mirror.entries()) writes.saw(value)
  of.mirror.onChange((key, now, before) => {
    const ref = of.parse(key)
    if (!ref) return
    if (isOurs(deps, of, { key, ref, now })) {
      if (now) writes.saw(now.value)
      good.delete(key)
      return
    }
    if (before && !good.has(key)) good.set(key, before.value)
    const item = of.stored(ref.namespace, ref.name).find(each => each.key === key)
    const reason = item && item.mod !== 0 && item.value === undefined ? 'Signature' : 'Stale'
    report(deps, { kind: of.kind, ...ref }, { reason, did: whatHappened(item, good.get(key)), key })
    const restored = restoreEntry(deps, { key, mod: item?.mod ?? 0, value: good.get(key) })
    void restored.finally(() => of.queue.add(nameKey(ref)))
  })
}

function isOurs<T extends Entry>(
  { writes, resources }: Deps,
  { kind }: Watched<T>,
  { key, ref, now }: { key: string; ref: Ref; now: Versioned<T> | undefined },
): boolean {
  if (writes.isOwn(key, now?.value.written)) return true
  if (!now) return false
  const { uid, written = 0 } = now.value
  const newest = writes.newest(uid)
  if (newest !== undefined) return written > newest
  return resources.get(kind, ref.namespace, ref.name)?.metadata.uid === uid
}

function restoreEntry(deps: Deps, { key, mod, value }: MaybeAbsent<Entry>): Promise<void> {
  const { writes, identity } = deps
  const text = value && identity.sign(JSON.stringify(writes.numbered(key, value)))
  return restore(deps, { key, mod, value: text })
}

/** The reconciler of pools and members then compares the record with the objects. */
function restoreFleet(deps: Deps, queues: Queues): void {
  const { mirrors, keys } = deps
  restoreRecordsOf(deps, mirrors.members, {
    refOf: key => ({ kind: 'ShellAgent', namespace: '', name: keys.parseMember(key)?.agent ?? '' }),
    again: () => queues.fleet.add('fleet'),
  })
  restoreRecordsOf(deps, mirrors.pools, {
    refOf: key => ({ kind: 'ShellPool', namespace: '', name: keys.parsePool(key) ?? '' }),
    again: () => queues.fleet.add('fleet'),
  })
}

function restoreRecordsOf<T extends object>(
  deps: Deps,
  mirror: Mirror<T>,
  of: { refOf(key: string): ObjectRef; again(): void },
): void {
  const { writes, mirrors } = deps
  const good = new Map<string, T>()
  mirror.onChange((key, now, before) => {
    if (writes.isOwn(key, now?.value)) {
      good.delete(key)
      return
    }
    if (before && !good.has(key)) good.set(key, before.value)
    const mod = mirrors.revisionOf(key)
    const did = mod === 0 ? 'deleted the record' : 'changed the record'
    report(deps, of.refOf(key), { reason: 'Stale', did, key })
    const value = good.get(key)
    if (value) writes.expect(key, value)
    void restore(deps, { key, mod, value: value && JSON.stringify(value) }).finally(of.again)
  })
}

/** Puts the text; deletes the key if there is none. The object is reconciled afterwards, whether this succeeds or not. */
async function restore({ etcd, writes, log }: Deps, { key, mod, value }: MaybeAbsent<string>): Promise<void> {
  if (value === undefined && mod === 0) return
  if (value === undefined) writes.expect(key, undefined)
  try {
    const answer = await etcd.txn(value === undefined ? deleteKnown(key, mod) : putKnown(key, mod, value))
    if (!answer.ok) writes.refused(key)
  } catch (error) {
    log.warn({ key, error: messageOf(error) }, 'record.notRestored')
  }
}

function whatHappened(item: MaybeAbsent<Entry> | undefined, good: Entry | undefined): string {
  if (!item || item.mod === 0) return 'deleted the entry'
  if (!item.value) return 'wrote an entry that the operator did not sign'
  if (!good) return 'put back the entry of an object that is gone'
  return `put an older entry, of generation ${item.value.generation}, over generation ${good.generation}`
}

function report(
  { log, resources }: Deps,
  { kind, namespace, name }: ObjectRef,
  { reason, did, key }: { reason: Reason; did: string; key: string },
): void {
  const message = `another process ${did} in etcd under ${key}; the operator restores it. Find out who has access to etcd`
  log.error({ key, kind, namespace, name, reason, did }, 'record.foreignChange')
  const uid =
    kind === 'Secret' || kind === 'ConfigMap' ? undefined : resources.get(kind, namespace, name)?.metadata.uid
  if (uid) resources.event({ kind, namespace, name }, uid, { type: 'Warning', reason, message })
}
