import * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import { ANYWHERE, shellRunId } from '../../core/keys.ts'
import { condition } from '../../core/schema/status.ts'
import { deadline, systemClock } from '../../platform/clock.ts'
import { Unavailable } from '../../platform/errors.ts'
import type { KubeApi } from '../../platform/kubernetes/api.ts'
import { escapeControls } from '../escape-controls.ts'
import { type Cluster, type ClusterFlags, granted } from './cluster.ts'
import { printOutput } from './run-output.ts'

/** `kubectl shellcron run`: a ShellRun that the user creates with their own rights, and its status. */

export interface ShellRunManifest {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace: string }
  spec: object
}

export interface MadeRun {
  namespace: string
  name: string
  uid: string
  run: string
}

const TTL_SECONDS = 3_600
const TIMED_OUT = 124
/** How long the API server may be away, ms. */
const AWAY_MS = 60_000

const pathOf = (namespace: string) => `/apis/shellcron.dev/v1alpha1/namespaces/${namespace}/shellruns`

/** Throws InvalidInput with the server's message if the ShellRun is refused. */
export async function createRun({ api }: Cluster, object: ShellRunManifest): Promise<MadeRun> {
  const { namespace, name } = object.metadata
  const body = { ...object, spec: { ttlSecondsAfterFinished: TTL_SECONDS, ...object.spec } }
  const answer = await api.request({ path: pathOf(namespace), method: 'POST', body })
  const { metadata } = granted(answer, `ShellRun ${namespace}/${name}`) as { metadata: { uid: string } }
  const { uid } = metadata
  return { namespace, name, uid, run: shellRunId({ namespace, name, target: ANYWHERE, uid }) }
}

/** A ShellRun may be created before its job, and then waits for it. Whoever names a job here expects that it exists. */
export async function mustExist({ api }: Cluster, { namespace, name }: { namespace: string; name: string }) {
  const path = `/apis/shellcron.dev/v1alpha1/namespaces/${namespace}/shellcronjobs/${name}`
  const { status } = await api.request({ path })
  // A user who may run the job may lack the right to read it.
  if (status === 404)
    throw new InvalidInput('run', `ShellCronJob "${name}" does not exist in namespace "${namespace}"`)
}

const seenSchema = z.object({
  metadata: z.object({ uid: z.string(), resourceVersion: z.string() }),
  status: z
    .object({
      phase: z.string().optional(),
      exitCode: z.number().optional(),
      conditions: z.array(condition.loose()).default([]),
    })
    .prefault({}),
})
type Seen = z.infer<typeof seenSchema>

interface WaitOptions {
  timeoutMs?: number
  /** Print the output, which the operator has. */
  logs?: ClusterFlags
}

/** Follows the status until the run ends. Resolves to the exit code, as `run --help` lists it. */
export async function waitForRun(cluster: Cluster, made: MadeRun, options: WaitOptions): Promise<number> {
  const { timeoutMs = Number.POSITIVE_INFINITY, logs } = options
  const limit = deadline(timeoutMs)
  let output: Promise<void> | undefined
  try {
    for await (const seen of statuses(cluster.api, made, limit.signal)) {
      const hasStarted = seen.status.phase !== undefined && seen.status.phase !== 'Pending'
      if (logs && hasStarted) output ??= printOutput(cluster, made, logs)
      const code = report(made, seen)
      if (code === undefined) continue
      await output
      return code
    }
    return say(made, 'the ShellRun was deleted before it ended', 1)
  } catch (error) {
    if (!limit.signal.aborted) throw error
    return say(
      made,
      `did not end within ${timeoutMs / 1_000} s, and continues; to end it, delete it`,
      TIMED_OUT,
    )
  } finally {
    limit.done()
  }
}

/** Prints what is new. Returns the exit code once the run has ended. */
function report(made: MadeRun, { status }: Seen): number | undefined {
  const is = (type: string) => status.conditions.find(each => each.type === type && each.status === 'True')
  const end = is('Complete') ?? is('Failed')
  if (end) {
    // An end without details has its phase as the message.
    const details = end.message === status.phase ? '' : `: ${end.message}`
    return say(made, `${status.phase}${details}`, end.type === 'Complete' ? 0 : 1)
  }
  const ready = status.conditions.find(({ type }) => type === 'Ready')
  const waits = ready && ready.reason !== 'Pending' && ready.reason !== 'Running'
  if (waits) say(made, `not started: ${ready.reason}: ${ready.message}`, 0)
  return undefined
}

const last = new Map<string, string>()

/** Prints to stderr, but not the same message twice in a row. */
function say({ namespace, name, run }: MadeRun, message: string, code: number): number {
  if (last.get(run) !== message)
    process.stderr.write(`shellcron: ${namespace}/${name}: ${escapeControls(message)}\n`)
  last.set(run, message)
  return code
}

/** The object, and each change of it until it is deleted. Rejects if the API server is away for too long. */
async function* statuses(api: KubeApi, made: MadeRun, signal: AbortSignal): AsyncGenerator<Seen> {
  for (let answeredAt = systemClock.monotonic(); ; ) {
    try {
      const answer = await api.request({ path: `${pathOf(made.namespace)}/${made.name}`, signal })
      if (answer.status === 404) return
      const seen = seenSchema.parse(
        granted(answer, 'ShellRun', 'waiting needs the right to get and watch shellruns'),
      )
      if (seen.metadata.uid !== made.uid) return
      answeredAt = systemClock.monotonic()
      yield seen
      if ((yield* watch(api, { made, seen }, signal)) === 'gone') return
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof InvalidInput || systemClock.monotonic() - answeredAt > AWAY_MS) throw error
    }
    await systemClock.sleep(1_000, signal)
  }
}

async function* watch(
  api: KubeApi,
  { made, seen }: { made: MadeRun; seen: Seen },
  signal: AbortSignal,
): AsyncGenerator<Seen, 'gone' | 'over'> {
  const query = new URLSearchParams({
    watch: '1',
    fieldSelector: `metadata.name=${made.name}`,
    resourceVersion: seen.metadata.resourceVersion,
    timeoutSeconds: '300',
  })
  const lines = await api.lines({ path: `${pathOf(made.namespace)}?${query.toString()}`, signal })
  for await (const line of lines) {
    const event = z.object({ type: z.string(), object: z.unknown() }).parse(JSON.parse(line))
    if (event.type === 'DELETED') return 'gone'
    if (event.type === 'ERROR') throw new Unavailable('the watch has ended')
    const next = seenSchema.parse(event.object)
    if (next.metadata.uid !== made.uid) return 'gone'
    yield next
  }
  return 'over'
}
