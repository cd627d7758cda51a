import type { ObjectRef, Resources, Written } from '../port.ts'
import { keyOf, type ObjectRecord } from './record.ts'
import type { Records, Steps } from './records.ts'

const NOTHING: Steps = { puts: new Map(), deletes: [] }

/** The writes that Kubernetes would do on the object itself, on its record. */
export function createRecordWrites(
  records: Records,
): Pick<Resources, 'applyStatus' | 'setFinalizer' | 'annotate'> {
  const edit = async (
    ref: ObjectRef,
    uid: string,
    change: (record: ObjectRecord) => ObjectRecord | 'remove' | 'gone',
  ): Promise<Written> => {
    const key = keyOf(ref)
    let written: Written = 'gone'
    await records.change(current => {
      const record = current.get(key)
      if (record?.uid !== uid) return NOTHING
      const next = change(record)
      if (next === 'gone') return NOTHING
      written = 'applied'
      if (next === 'remove') return { puts: new Map(), deletes: [key] }
      return next === record ? NOTHING : { puts: new Map([[key, next]]), deletes: [] }
    })
    return written
  }
  return {
    applyStatus: (ref, uid, status) => edit(ref, uid, record => ({ ...record, status: { ...status } })),
    setFinalizer: (ref, uid, present) =>
      edit(ref, uid, record => {
        if (record.finalizer === present) return record
        if (record.deleted === undefined) return { ...record, finalizer: present }
        return present ? 'gone' : 'remove'
      }),
    annotate: (ref, uid, annotations) =>
      edit(ref, uid, record => ({ ...record, annotated: { ...record.annotated, ...annotations } })),
  }
}
