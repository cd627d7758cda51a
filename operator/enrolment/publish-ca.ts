import { messageOf } from '../../platform/errors.ts'
import { APPLY_PATCH, accepted, type KubeApi } from '../../platform/kubernetes/api.ts'
import type { LeaderTask } from '../operator.ts'

const NAME = 'shellcron-ca'
const EVERY_MS = 600_000
const RETRY_MS = 5_000

/** Keeps the authority's certificate in a ConfigMap, from which nodes' agents know the operator. `namespace`: the agents'. */
export function publishCa(of: { api: KubeApi; namespace: string; ca: string }): LeaderTask {
  const { api, namespace, ca } = of
  const body = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: NAME, namespace },
    data: { 'ca.crt': ca },
  }
  const path = `/api/v1/namespaces/${namespace}/configmaps/${NAME}?fieldManager=shellcron-operator&force=true`
  return async ({ clock, log }, signal) => {
    while (!signal.aborted) {
      let wait = EVERY_MS
      try {
        const answer = await api.request({ path, method: 'PATCH', contentType: APPLY_PATCH, body })
        accepted(answer, `apply configmap ${namespace}/${NAME}`)
      } catch (error) {
        log.warn({ error: messageOf(error) }, 'ca.notPublished')
        wait = RETRY_MS
      }
      await clock.sleep(wait, signal).catch(() => undefined)
    }
  }
}
