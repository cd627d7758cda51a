import type { ObjectRef } from '../port.ts'

const PLURALS: Record<ObjectRef['kind'], string> = {
  ShellCronJob: 'shellcronjobs',
  ShellRun: 'shellruns',
  ShellAgent: 'shellagents',
  ShellPolicy: 'shellpolicies',
  ShellPool: 'shellpools',
  Node: 'nodes',
  Secret: 'secrets',
  ConfigMap: 'configmaps',
}

export const API_VERSION = 'shellcron.dev/v1alpha1'

export function apiVersionOf(kind: ObjectRef['kind']): string {
  return kind.startsWith('Shell') ? API_VERSION : 'v1'
}

/** The path of all objects of a kind, in one namespace or ('') in all. */
export function listPath(kind: ObjectRef['kind'], namespace = ''): string {
  return `${apiRoot(kind)}${namespace ? `/namespaces/${namespace}` : ''}/${PLURALS[kind]}`
}

export function objectPath({ kind, namespace, name }: ObjectRef): string {
  return `${listPath(kind, namespace)}/${encodeURIComponent(name)}`
}

function apiRoot(kind: ObjectRef['kind']): string {
  const version = apiVersionOf(kind)
  return version === 'v1' ? '/api/v1' : `/apis/${version}`
}
