import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { canonical } from './canonical.ts'

/** A status as compressed JSON, a tenth of its size as objects. Equal statuses give equal texts. */
export type PackedStatus = string & { readonly isPackedStatus: true }

/** What most statuses hold. The last part compresses best. It is never stored, so it may be changed. */
const DICTIONARY = Buffer.from(
  [
    '"targets":{"matched":1,"ready":1,"summary":"1/1"}',
    '"lastFailureTime":"","lastResult":"Succeeded","lastScheduleTime":"","lastSuccessfulTime":"',
    '"runs":[],"schedule":"*/5 * * * *","target":"One default"',
    '{"active":[],"activeCount":0,"command":"","conditions":[',
    '{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"compiled and scheduled","observedGeneration":1,"reason":"Compiled","status":"True","type":"Ready"},',
    '{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"","observedGeneration":1,"reason":"Compiled","status":"False","type":"Reconciling"},',
    '{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"","observedGeneration":1,"reason":"Compiled","status":"False","type":"Stalled"},',
    '{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"","observedGeneration":1,"reason":"AgentsMatch","status":"True","type":"HasTargets"},',
    '{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"no run has finished yet","observedGeneration":1,"reason":"NoRunYet","status":"Unknown","type":"LastRunSucceeded"}],',
    '"nextScheduleTime":"2026-01-01T00:00:00Z","nextScheduleTimes":["2026-01-01T00:00:00Z","2027-',
  ].join(''),
)
/** Small buffers: a status is short. */
const OPTIONS = { dictionary: DICTIONARY, windowBits: 12, memLevel: 3 }

/** The same object is packed once. */
const packed = new WeakMap<object, PackedStatus>()

export function packStatus(status: object): PackedStatus {
  const known = packed.get(status)
  if (known !== undefined) return known
  const text = deflateRawSync(canonical(status), OPTIONS).toString('latin1') as PackedStatus
  packed.set(status, text)
  return text
}

export function unpackStatus(text: PackedStatus): Record<string, unknown> {
  return JSON.parse(inflateRawSync(Buffer.from(text, 'latin1'), OPTIONS).toString()) as Record<
    string,
    unknown
  >
}
