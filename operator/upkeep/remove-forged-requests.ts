import { messageOf } from '../../platform/errors.ts'
import { deleteKnown } from '../../store/protocol/operator-writes.ts'
import type { Context } from '../context.ts'
import type { ObjectRef } from '../resources/port.ts'
import { every } from '../until-aborted.ts'

/**
 * Deletes requests that the operator did not sign, and reports each with an Event and a log line (reason `Signature`). Agents refuse them. But
 * such a request would keep the operator's own request with the same id from being put.
 */
type Deps = Pick<Context, 'etcd' | 'keys' | 'clock' | 'log' | 'mirrors' | 'resources'>

const LOOK_MS = 1_000

export function removeForgedRequests(deps: Deps, signal: AbortSignal): Promise<void> {
  const { mirrors, clock } = deps
  return every({ clock, ms: LOOK_MS }, signal, async () => {
    for (const { key, mod } of mirrors.forgedRequests()) await removeForged(deps, key, mod)
  })
}

async function removeForged({ etcd, keys, log, resources }: Deps, key: string, mod: number): Promise<void> {
  const reason = 'Signature'
  try {
    // It may be gone or replaced meanwhile.
    if (!(await etcd.txn(deleteKnown(key, mod))).ok) return
  } catch (error) {
    log.warn({ key, error: messageOf(error) }, 'request.notDeleted')
    return
  }
  log.error({ key, reason }, 'request.forged')
  const ref = objectOf(keys.parseRequest(key)?.id ?? '')
  const uid = ref && resources.get(ref.kind, ref.namespace, ref.name)?.metadata.uid
  if (!ref || !uid) return
  const message = `another process wrote a request in etcd under ${key} without the operator's signature; the operator deleted it. Find out who has access to etcd`
  resources.event(ref, uid, { type: 'Warning', reason, message })
}

/** The object that the request's id names: see agent-requests.ts. */
function objectOf(id: string): (ObjectRef & { kind: 'ShellRun' | 'ShellCronJob' }) | undefined {
  const [what, namespace = '', name = ''] = id.split('.')
  if (what === 'run') return { kind: 'ShellRun', namespace, name }
  if (what === 'offer') return { kind: 'ShellCronJob', namespace, name }
  return undefined
}
