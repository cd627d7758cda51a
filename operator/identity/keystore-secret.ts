import { Unavailable } from '../../platform/errors.ts'
import { accepted, type KubeApi } from '../../platform/kubernetes/api.ts'
import type { KeyStore } from './keystore.ts'

interface Secret {
  apiVersion: 'v1'
  kind: 'Secret'
  type: 'Opaque'
  metadata: { name: string; namespace: string; resourceVersion?: string }
  data?: Record<string, string>
}

const MAX_ATTEMPTS = 5

/** Keeps the keys in one Secret of the operator's own namespace. Each write names the version that it is based on. */
export function secretKeyStore(options: { api: KubeApi; namespace: string; name: string }): KeyStore {
  const { api, namespace, name } = options
  const all = `/api/v1/namespaces/${namespace}/secrets`

  const get = async (): Promise<Secret | undefined> => {
    const answer = await api.request({ path: `${all}/${name}` })
    return answer.status === 404 ? undefined : (accepted(answer, `get secret ${name}`) as Secret)
  }
  const decoded = (secret: Secret | undefined, key: string): string | undefined => {
    const value = secret?.data?.[key]
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8')
  }
  /** False if the Secret has changed since it was read. */
  const put = async (secret: Secret | undefined, data: Record<string, string>): Promise<boolean> => {
    const body: Secret = secret
      ? { ...secret, data: { ...secret.data, ...data } }
      : { apiVersion: 'v1', kind: 'Secret', type: 'Opaque', metadata: { name, namespace }, data }
    const answer = await api.request({
      path: secret ? `${all}/${name}` : all,
      method: secret ? 'PUT' : 'POST',
      body,
    })
    if (answer.status === 409 || answer.status === 404) return false
    accepted(answer, `put secret ${name}`)
    return true
  }
  const write = async (key: string, text: string, replace: boolean): Promise<string> => {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const secret = await get()
      const stored = decoded(secret, key)
      if (stored !== undefined && (!replace || stored === text)) return stored
      if (await put(secret, { [key]: Buffer.from(text).toString('base64') })) return text
    }
    throw new Unavailable(
      `Secret ${namespace}/${name} has changed during each of ${MAX_ATTEMPTS} attempts to write it`,
    )
  }

  return {
    read: async key => decoded(await get(), key),
    keep: (key, text) => write(key, text, false),
    replace: async (key, text) => void (await write(key, text, true)),
  }
}
