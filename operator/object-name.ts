/** A namespaced object of ours. As a key of a queue or map: `<namespace>/<name>`. */
export interface ObjectName {
  namespace: string
  name: string
}

export function nameKey({ namespace, name }: { namespace?: string | undefined; name: string }): string {
  return `${namespace ?? ''}/${name}`
}

export function parseNameKey(key: string): ObjectName {
  const [namespace = '', name = ''] = key.split('/')
  return { namespace, name }
}
