import type { Metadata } from '../../core/schema/objects.ts'

/** The metadata that every stored object has, in a cluster or a directory. The author of a manifest may leave most of it out. */
export interface Identified {
  namespace: string
  name: string
  uid: string
  generation: number
  /** ms since the epoch. */
  createdAt: number
}

export function identify(metadata: Metadata): Identified {
  const { namespace = '', name, uid = '', generation = 1, creationTimestamp } = metadata
  const created =
    creationTimestamp instanceof Date ? creationTimestamp.getTime() : Date.parse(creationTimestamp ?? '')
  return { namespace, name, uid, generation, createdAt: Number.isNaN(created) ? 0 : created }
}
