/**
 * The context that binds sealed values to one object: the operator seals with it, and the agent opens with it. Values of another object
 * do not open. If this format changes, no sealed value in etcd can be opened any more.
 */
export function sealingContext(of: { namespace: string; name: string; uid: string }): string {
  return `${of.namespace}/${of.name}/${of.uid}`
}
