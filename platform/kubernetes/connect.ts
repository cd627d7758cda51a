import { KubeConfig } from '@kubernetes/client-node'
import { createKubeApi, type KubeApi } from './api.ts'

/**
 * The API server of a kubeconfig's current context. Without a file: that of the pod's service account, or of the user's own kubeconfig.
 * Throws if there is none.
 */
export function connectKubernetes(file?: string): KubeApi {
  return createKubeApi(loadKubeConfig(file))
}

export function loadKubeConfig(file?: string): KubeConfig {
  const config = new KubeConfig()
  if (file) config.loadFromFile(file)
  else config.loadFromDefault()
  return config
}
