import type { Keys } from '../../../core/keys.ts'
import type { Etcd } from '../../../store/etcd/client.ts'

/** Keeps the directory's objects across restarts of the operator. Keys are `kind/namespace/name`. */
export interface StatusStore {
  load(): Promise<Map<string, string>>
  /** May be repeated. Throws `Unavailable` if the write may have failed. */
  put(key: string, value: string): Promise<void>
  delete(key: string): Promise<void>
}

/** The namespace part of a cluster-scoped object's key, as no part may be empty. */
const NO_NAMESPACE = '-'

/** Keeps them under `status/` in etcd. Only the one standalone operator writes there. */
export function createEtcdStatusStore(etcd: Etcd, keys: Keys): StatusStore {
  const at = (key: string): string => {
    const [kind = '', namespace = '', name = ''] = key.split('/')
    return keys.status(kind, namespace || NO_NAMESPACE, name)
  }
  return {
    async load() {
      const values = new Map<string, string>()
      for (const { key, value } of (await etcd.list(keys.statuses)).items) {
        const ref = keys.parseStatus(key)
        if (!ref) continue
        const namespace = ref.namespace === NO_NAMESPACE ? '' : ref.namespace
        values.set(`${ref.kind}/${namespace}/${ref.name}`, value)
      }
      return values
    },
    async put(key, value) {
      await etcd.txn({ compare: [], then: [{ put: at(key), value }] })
    },
    async delete(key) {
      await etcd.txn({ compare: [], then: [{ delete: at(key) }] })
    },
  }
}
