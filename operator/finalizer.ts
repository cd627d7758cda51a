import type { ShellCronJob, ShellRun } from '../core/schema/objects.ts'
import { identify } from './compile/identify.ts'
import { FINALIZER, type Resources } from './resources/port.ts'

type Writer = Pick<Resources, 'setFinalizer'>

/** Adds or removes our finalizer. False if the object is gone or has been replaced. */
export async function setFinalizer(
  resources: Writer,
  { kind, metadata }: ShellCronJob | ShellRun,
  present: boolean,
): Promise<boolean> {
  if ((metadata.finalizers?.includes(FINALIZER) ?? false) === present) return true
  const { namespace, name, uid } = identify(metadata)
  return (await resources.setFinalizer({ kind, namespace, name }, uid, present)) === 'applied'
}

/**
 * To be called before the object's keys change. The finalizer is added before the first key is written. While the operator drains, it is
 * removed before the keys are: the object must not wait for them. False if the object is gone or has been replaced.
 */
export async function prepareFinalizer(
  resources: Writer,
  object: ShellCronJob | ShellRun,
  desired: { kind: 'gone'; kill: boolean } | { kind: string },
): Promise<boolean> {
  if (desired.kind !== 'gone') return setFinalizer(resources, object, true)
  if ('kill' in desired && !desired.kill) await setFinalizer(resources, object, false)
  return true
}
