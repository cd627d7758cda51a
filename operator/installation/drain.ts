import type { Clock } from '../../platform/clock.ts'
import { accepted, type KubeApi, MERGE_PATCH } from '../../platform/kubernetes/api.ts'
import { listPath, objectPath } from '../resources/kubernetes/paths.ts'
import { FINALIZER } from '../resources/port.ts'
import { DRAINING_UNTIL } from '../startup/draining.ts'
import type { Lease } from '../startup/leader-election.ts'
import { LEASE } from '../startup/start.ts'

/**
 * Prepares the removal of ShellCron from a cluster: afterwards no object has our finalizer, so that namespaces and objects can be deleted
 * without an operator. It works whether the operator is alive, dead or gone:
 *
 *   annotate the Lease ─▶ the operator drains ─▶ its next renewal shows that it knows ─▶ two looks without a finalizer ─▶ done
 *                         └ no live operator: nothing to wait for
 */
export interface DrainOptions {
  api: KubeApi
  clock: Clock
  /** That of the operator. */
  namespace: string
  /** Gets a line for the user. */
  onLine(line: string): void
}

interface Item {
  metadata: { namespace: string; name: string; resourceVersion: string; finalizers?: string[] }
}

/** `items` of an empty list of metadata is null. */
interface Page {
  metadata: { continue?: string }
  items: Item[] | null
}

/** A given-up removal ends by itself: afterwards the operator works as before. */
const DRAINING_MS = 15 * 60_000
const LOOK_EVERY_MS = 2_000
const KINDS = ['ShellCronJob', 'ShellRun'] as const
const METADATA_ONLY = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'

export async function drain(options: DrainOptions, signal: AbortSignal): Promise<void> {
  const { clock, onLine } = options
  const announced = await announce(options)
  let released = 0
  for (let clean = 0; clean < 2; ) {
    const found = await releaseAll(options, signal)
    released += found
    clean = found === 0 && (!announced || (await operatorKnows(options, announced))) ? clean + 1 : 0
    if (clean < 2) await clock.sleep(LOOK_EVERY_MS, signal)
  }
  onLine(`drained: released ${released} objects; ShellCron can be removed`)
}

const leasePath = (namespace: string) =>
  `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${LEASE}`

/** The Lease as annotated. undefined: no operator has ever led here. */
async function announce({ api, clock, namespace, onLine }: DrainOptions): Promise<Lease | undefined> {
  const until = new Date(clock.now() + DRAINING_MS).toISOString()
  const answer = await api.request({
    path: leasePath(namespace),
    method: 'PATCH',
    body: { metadata: { annotations: { [DRAINING_UNTIL]: until } } },
    contentType: MERGE_PATCH,
  })
  if (answer.status === 404) return undefined
  onLine(`draining until ${until} at most`)
  return accepted(answer, `annotate lease ${LEASE}`) as Lease
}

/** Whether the leading operator has renewed the Lease since, or none leads any more. */
async function operatorKnows({ api, clock, namespace }: DrainOptions, announced: Lease): Promise<boolean> {
  const answer = await api.request({ path: leasePath(namespace) })
  if (answer.status === 404) return true
  const { spec = {} } = accepted(answer, `get lease ${LEASE}`) as Lease
  if (!spec.holderIdentity || spec.renewTime !== announced.spec?.renewTime) return true
  // Not renewed for three times its duration: its holder is dead. Two clocks are compared, so that is generous.
  const age = clock.now() - Date.parse(spec.renewTime ?? '')
  return !(age < 3_000 * (spec.leaseDurationSeconds ?? 12))
}

/** Removes our finalizer from every object. Returns how many had it. */
async function releaseAll(options: DrainOptions, signal: AbortSignal): Promise<number> {
  let found = 0
  for (const kind of KINDS) {
    let next = ''
    do {
      const query = new URLSearchParams({ limit: '500', ...(next ? { continue: next } : {}) })
      const answer = await options.api.request({
        path: `${listPath(kind)}?${query.toString()}`,
        accept: METADATA_ONLY,
        signal,
      })
      // No CRDs: no objects.
      if (answer.status === 404) break
      const page = accepted(answer, `list ${kind}`) as Page
      for (const item of page.items ?? []) if (await release(options, kind, item)) found++
      next = page.metadata.continue ?? ''
    } while (next)
  }
  return found
}

async function release(
  { api }: DrainOptions,
  kind: (typeof KINDS)[number],
  { metadata }: Item,
): Promise<boolean> {
  const { namespace, name, resourceVersion, finalizers = [] } = metadata
  if (!finalizers.includes(FINALIZER)) return false
  const answer = await api.request({
    path: objectPath({ kind, namespace, name }),
    method: 'PATCH',
    body: { metadata: { resourceVersion, finalizers: finalizers.filter(one => one !== FINALIZER) } },
    contentType: MERGE_PATCH,
  })
  // Gone, or changed since: the next look sees it.
  if (answer.status !== 404 && answer.status !== 409) accepted(answer, `release ${kind} ${namespace}/${name}`)
  return true
}
