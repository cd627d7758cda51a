import { InvalidInput } from '../../core/errors.ts'
import { shellRunId } from '../../core/keys.ts'
import { parseObject, type ShellCronJob, type ShellRun } from '../../core/schema/objects.ts'
import { validateRun } from '../../core/schema/validate.ts'
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
  objectOf(ref: ObjectRef & { kind: 'ShellRun' }): object | undefined
}): Routes {
  return server => {
    server.post('/v1/runs', async request => await createRun(of.resources, request.body))
    server.get<{ Params: { namespace: string; name: string } }>('/v1/runs/:namespace/:name', request => ({
      object: of.objectOf({ kind: 'ShellRun', ...request.params }) ?? null,
    }))
  }
}

/** Throws InvalidInput with the invalid field before anything is created. */
async function createRun(resources: Pick<Resources, 'get' | 'createRun'>, body: unknown) {
  const object = parseObject(body)
  if (object.kind !== 'ShellRun')
    throw new InvalidInput('kind', `is ${object.kind}; only a ShellRun can be run`)
  const { name, namespace = 'default', labels, annotations } = object.metadata
  const run = object as ShellRun
  const [problem] = validateRun(run, jobOf(resources, run, namespace))
  if (problem) throw new InvalidInput(problem.field, problem.message)
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

function jobOf(
  resources: Pick<Resources, 'get'>,
  { spec }: ShellRun,
  namespace: string,
): ShellCronJob | undefined {
  const job = spec.jobRef && resources.get('ShellCronJob', namespace, spec.jobRef.name)
  return job?.metadata.deletionTimestamp ? undefined : job
}
