/**
 * What sealed values are bound to: the text that the operator seals with and the agent opens with, so that values sealed for one object
 * do not open as another's. A change of it makes every sealed value in etcd unreadable.
 */
export function sealingContext(of: { namespace: string; name: string; uid: string }): string {
  return `${of.namespace}/${of.name}/${of.uid}`
}
