import { InvalidInput } from '../../core/errors.ts'
import { shellRunId } from '../../core/keys.ts'
import { parseObject, type ShellCronJob, type ShellRun } from '../../core/schema/objects.ts'
import { validateJob, validateRun } from '../../core/schema/validate.ts'
import { identify } from '../compile/identify.ts'
import type { EtcdMirrors } from '../etcd-mirrors.ts'
import type { ObjectRef, Resources } from '../resources/port.ts'
import type { Routes } from './server.ts'

/**
 *   POST /v1/runs                   validates and creates a ShellRun, given as JSON: {"namespace", "name", "run": the id of its run}
 *   GET  /v1/runs/NAMESPACE/NAME    {"object": the ShellRun with its status, or null}
 *
 * Such a ShellRun is deleted ttlSecondsAfterFinished after its end; an hour after it, if that field is not set.
 */
const TTL_SECONDS = 3_600

export function runRoutes(of: {
  resources: Pick<Resources, 'get' | 'createRun'>
  mirrors: Pick<EtcdMirrors, 'storedJobs'>
  objectOf(ref: ObjectRef & { kind: 'ShellRun' }): object | undefined
}): Routes {
  return server => {
    server.post('/v1/runs', async request => await createRun(of, request.body))
    server.get<{ Params: { namespace: string; name: string } }>('/v1/runs/:namespace/:name', request => ({
      object: of.objectOf({ kind: 'ShellRun', ...request.params }) ?? null,
    }))
  }
}

/** Throws InvalidInput with the invalid field before anything is created. */
async function createRun(
  { resources, mirrors }: Pick<Parameters<typeof runRoutes>[0], 'resources' | 'mirrors'>,
  body: unknown,
) {
  const object = parseObject(body)
  if (object.kind !== 'ShellRun')
    throw new InvalidInput('kind', `is ${object.kind}; only a ShellRun can be run`)
  const { name, namespace = 'default', labels, annotations } = object.metadata
  const run = object as ShellRun
  const job = run.spec.template ? undefined : jobOf(resources, run, namespace)
  const [problem] = validateRun(run, job)
  if (problem) throw new InvalidInput(problem.field, problem.message)
  const refusal = job && whyBlocked(mirrors, job)
  if (refusal)
    throw new InvalidInput('spec.jobRef.name', `ShellCronJob ${job.metadata.name} cannot run: ${refusal}`)
  // The spec is stored as it was written: defaults are applied when it is read.
  const { spec } = body as { spec: Record<string, unknown> }
  const created = await resources.createRun({
    namespace,
    name,
    ...(labels ? { labels } : {}),
    ...(annotations ? { annotations } : {}),
    spec: { ttlSecondsAfterFinished: TTL_SECONDS, ...spec },
  })
  if (created.kind === 'exists')
    throw new InvalidInput('metadata.name', `ShellRun ${namespace}/${name} exists already; use another name`)
  return { namespace, name, run: shellRunId({ namespace, name, target: '-', uid: created.uid }) }
}

/** The reason and message of the job's condition; undefined: it can run, or was just changed and is not compiled yet. */
function whyBlocked({ storedJobs }: Pick<EtcdMirrors, 'storedJobs'>, job: ShellCronJob): string | undefined {
  const [problem] = validateJob(job)
  if (problem) return `${problem.reason}: ${problem.field}: ${problem.message}`
  const { namespace, name, uid, generation } = identify(job.metadata)
  const stored = storedJobs(namespace, name).map(({ value }) => value)
  const blocked = stored.find(each => each?.uid === uid && each.generation === generation)?.blocked
  return blocked && `${blocked.reason}: ${blocked.message}`
}

function jobOf(
  resources: Pick<Resources, 'get'>,
  { spec }: ShellRun,
  namespace: string,
): ShellCronJob | undefined {
  const job = spec.jobRef && resources.get('ShellCronJob', namespace, spec.jobRef.name)
  return job?.metadata.deletionTimestamp ? undefined : job
}
