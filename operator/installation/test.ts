import { InvalidInput } from '../../core/errors.ts'
import { API_VERSION } from '../../core/schema/objects.ts'
import type { Condition } from '../../core/schema/status.ts'
import type { Clock } from '../../platform/clock.ts'
import { Unavailable } from '../../platform/errors.ts'
import { accepted, type KubeApi } from '../../platform/kubernetes/api.ts'
import { listPath } from '../resources/kubernetes/paths.ts'

/** `helm test`: whether every node that should have an agent has one that is Ready, and whether a command runs there. */
export interface TestOptions {
  api: KubeApi
  clock: Clock
  /** In which the test's run is created. A ShellPolicy of the test's own allows it while the test runs. */
  namespace: string
  /** The agents' DaemonSets, as NAMESPACE/NAME. */
  daemonSets: readonly string[]
  /** The pool in which the test's command runs. */
  pool: string
  /** A name that no other test uses at the same time. */
  id: string
  onLine(line: string): void
}

interface DaemonSet {
  metadata: { uid: string }
  status?: { desiredNumberScheduled?: number; currentNumberScheduled?: number; numberReady?: number }
}

const LOOK_EVERY_MS = 1_000
/** No shell and no signal ends a command with it. */
const EXIT_CODE = 42

/** Rejects with InvalidInput or Unavailable that says which step failed and how to mend it. */
export async function testInstallation(options: TestOptions, signal: AbortSignal): Promise<void> {
  const { daemonSets, onLine } = options
  let desired = 0
  for (const name of daemonSets) desired += await allPodsReady(options, name, signal)
  onLine(`pods: ${desired} of ${desired} agents are Ready`)
  await agentsReady(options, desired, signal)
  await commandRuns(options, signal)
}

/** Resolves to how many agents it wants, when all of them are Ready. */
async function allPodsReady(options: TestOptions, id: string, signal: AbortSignal): Promise<number> {
  const [namespace = '', name = ''] = id.split('/')
  let last = ''
  return until(options, { signal, missing: () => `DaemonSet ${id}: ${last}` }, async () => {
    const path = `/apis/apps/v1/namespaces/${namespace}/daemonsets/${name}`
    const set = accepted(await options.api.request({ path }), `get DaemonSet ${id}`) as DaemonSet
    const {
      desiredNumberScheduled: wanted = 0,
      currentNumberScheduled: made = 0,
      numberReady = 0,
    } = set.status ?? {}
    const why = made < wanted ? await whyNoPods(options, namespace, set.metadata.uid) : undefined
    last = `${numberReady} of ${wanted} pods are Ready${why ? `. Pods are refused: ${why}` : ''}`
    if (why)
      throw new InvalidInput(
        `DaemonSet ${id}`,
        `${last}. The namespace must allow privileged pods: label it pod-security.kubernetes.io/enforce=privileged`,
      )
    return numberReady >= wanted ? { value: wanted } : undefined
  })
}

/** A namespace that refuses its pods: the DaemonSet exists, silently without them. */
async function whyNoPods({ api }: TestOptions, namespace: string, uid: string): Promise<string | undefined> {
  const query = new URLSearchParams({ fieldSelector: `involvedObject.uid=${uid},reason=FailedCreate` })
  const answer = await api.request({ path: `/api/v1/namespaces/${namespace}/events?${query.toString()}` })
  const { items } = accepted(answer, 'list events') as { items: { message?: string }[] }
  return items.at(-1)?.message
}

/** A pod can run whose agent was refused. */
async function agentsReady(options: TestOptions, desired: number, signal: AbortSignal): Promise<void> {
  let last = ''
  await until(options, { signal, missing: () => `ShellAgents: ${last}` }, async () => {
    const answer = await options.api.request({ path: listPath('ShellAgent') })
    const { items } = accepted(answer, 'list ShellAgents') as { items: Agent[] }
    const ready = items.filter(agent => readyOf(agent)?.status === 'True')
    const first = items.find(agent => readyOf(agent)?.status !== 'True')
    const why = first ? `; ${first.metadata.name}: ${readyOf(first)?.message ?? 'no status yet'}` : ''
    last = `${ready.length} of ${desired} are Ready${why}`
    return ready.length >= desired ? { value: undefined } : undefined
  })
  options.onLine(`agents: ${last}`)
}

interface Agent {
  metadata: { name: string }
  spec: { external?: object }
  status?: { conditions?: Condition[] }
}

const readyOf = ({ status }: Agent) => status?.conditions?.find(({ type }) => type === 'Ready')

async function commandRuns(options: TestOptions, signal: AbortSignal): Promise<void> {
  const { api, namespace, pool, id, onLine } = options
  const object = (kind: string, spec: object, own: object = {}) => ({
    apiVersion: API_VERSION,
    kind,
    metadata: { name: id, ...own },
    spec,
  })
  const policies = listPath('ShellPolicy')
  const runs = listPath('ShellRun', namespace)
  const policy = { namespaces: [namespace], rules: [{ pools: [pool], host: { users: ['nobody'] } }] }
  accepted(
    await api.request({ path: policies, method: 'POST', body: object('ShellPolicy', policy) }),
    'create the test ShellPolicy',
  )
  try {
    // A status shows the output of failed runs only, so the command fails on purpose.
    const script = `echo "hello from $(uname -n)"; exit ${EXIT_CODE}`
    const template = {
      spec: { host: { user: 'nobody' }, script, target: { pool }, activeDeadlineSeconds: 60 },
    }
    const body = object('ShellRun', { template }, { namespace })
    accepted(await api.request({ path: runs, method: 'POST', body }), 'create the test ShellRun')
    onLine(`command: ${await outputOf(options, `${runs}/${id}`, signal)}`)
  } finally {
    await api.request({ path: `${runs}/${id}`, method: 'DELETE' })
    await api.request({ path: `${policies}/${id}`, method: 'DELETE' })
  }
}

interface Run {
  status?: { phase?: string; exitCode?: number; outputTail?: string; conditions?: Condition[] }
}

/** The output of the test's command, which has gone from the node to the operator and into the status. */
async function outputOf(options: TestOptions, path: string, signal: AbortSignal): Promise<string> {
  let last = 'no status yet'
  const run = await until(
    options,
    { signal, missing: () => `the test's command has not ended: ${last}` },
    async () => {
      const answer = await options.api.request({ path })
      const { status = {} } = accepted(answer, 'get the test ShellRun') as Run
      const of = (type: string) => status.conditions?.find(one => one.type === type)
      const { message = '' } = of('Stalled') ?? of('Reconciling') ?? {}
      last = `${status.phase ?? 'Pending'} ${message}`.trim()
      const isRefused = of('Stalled')?.status === 'True' && status.exitCode === undefined
      if (isRefused) throw new Unavailable(`the test's command did not run: ${last}`)
      return status.exitCode !== undefined && status.outputTail ? { value: status } : undefined
    },
  )
  if (run.exitCode !== EXIT_CODE)
    throw new Unavailable(`the test's command ended with ${run.exitCode}: ${last}`)
  return run.outputTail?.trim() ?? ''
}

/** Looks until there is a value. When the signal aborts, it throws Unavailable with what is missing. */
async function until<T>(
  { clock }: TestOptions,
  { signal, missing }: { signal: AbortSignal; missing: () => string },
  look: () => Promise<{ value: T } | undefined>,
): Promise<T> {
  for (;;) {
    const found = await look()
    if (found) return found.value
    if (signal.aborted) throw new Unavailable(missing())
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined)
  }
}
