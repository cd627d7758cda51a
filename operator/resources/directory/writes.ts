import { rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Clock } from '../../../platform/clock.ts'
import { Unavailable } from '../../../platform/errors.ts'
import type { ObjectRef, Resources, Written } from '../port.ts'
import { SETTLE_MS } from './follower.ts'
import { packStatus } from './packed-status.ts'
import { keyOf, type ObjectRecord } from './record.ts'
import type { Records, Steps } from './records.ts'
import type { SubmittedRuns } from './submitted-runs.ts'

const NO_STEPS: Steps = { puts: new Map(), deletes: [] }
/** A file that was written here is applied within this time, unless the directory or the store has a fault, ms. */
const APPLIED_WITHIN_MS = 15_000

/** The writes that Kubernetes would do on the object itself are done on its record. */
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
      if (record?.uid !== uid) return NO_STEPS
      const next = change(record)
      if (next === 'gone') return NO_STEPS
      written = 'applied'
      if (next === 'remove') return { puts: new Map(), deletes: [key] }
      return next === record ? NO_STEPS : { puts: new Map([[key, next]]), deletes: [] }
    })
    return written
  }
  return {
    applyStatus: (ref, uid, status) =>
      edit(ref, uid, record => {
        const packed = packStatus(status)
        return record.status === packed ? record : { ...record, status: packed }
      }),
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

/** ShellRuns that are submitted over the operator's socket become files; other objects belong to their users' files. */
export function createRunWrites(of: {
  directory: string
  records: Records
  submitted: SubmittedRuns
  clock: Clock
}): Pick<Resources, 'createRun' | 'remove'> {
  const { directory, records, submitted, clock } = of
  const appliedUid = async (key: string): Promise<string | undefined> => {
    const until = clock.monotonic() + APPLIED_WITHIN_MS
    while (!records.get(key) && clock.monotonic() < until) await clock.sleep(SETTLE_MS / 3)
    return records.get(key)?.uid
  }
  return {
    async createRun(manifest) {
      const key = keyOf({ ...manifest, kind: 'ShellRun' })
      if (records.get(key) || !(await submitted.write(manifest))) return { kind: 'exists' }
      const uid = await appliedUid(key)
      if (uid !== undefined) return { kind: 'created', uid }
      throw new Unavailable(
        `${submitted.fileOf(manifest)} was written, but the operator has not read it after ${APPLIED_WITHIN_MS / 1_000} s`,
      )
    },
    async remove(ref, uid) {
      const record = records.get(keyOf(ref))
      const file = submitted.fileOf(ref)
      if (record?.uid !== uid || resolve(directory, record.file) !== resolve(file)) return 'kept'
      await rm(file, { force: true })
      return 'removed'
    },
  }
}
