import type { ClusterMembers } from './cluster-members.ts'
import { repeat } from './requests.ts'
import type { Status } from './types.ts'

/** Field numbers of etcd's StatusResponse. etcd3's copy of it ends before the quota. */
const field = { version: 2, dbSize: 3, leader: 4, raftTerm: 6, errors: 8, dbSizeInUse: 9, dbSizeQuota: 12 }

export async function readStatus(members: ClusterMembers, signal?: AbortSignal): Promise<Status> {
  const bytes = await repeat(
    members,
    {
      service: 'Maintenance',
      method: 'status',
      send: (connection, signal) =>
        connection.bytes('Maintenance', '/etcdserverpb.Maintenance/Status', signal),
    },
    signal,
  )
  return statusOf(bytes)
}

/** Decodes a StatusResponse. Fields that are zero are absent. */
function statusOf(bytes: Buffer): Status {
  const fields = fieldsOf(bytes)
  const number = (field: number) => Number(fields.get(field)?.at(-1) ?? 0)
  const text = (field: number) => String(fields.get(field)?.at(-1) ?? '')
  // A member lists its faults as text: 'memberID:1234 alarm:NOSPACE '.
  const faults = (fields.get(field.errors) ?? []).map(String)
  return {
    version: text(field.version),
    dbSize: number(field.dbSize),
    dbSizeInUse: number(field.dbSizeInUse),
    dbSizeQuota: number(field.dbSizeQuota) || undefined,
    leader: text(field.leader) || '0',
    raftTerm: text(field.raftTerm) || '0',
    alarms: [...new Set(faults.flatMap(fault => /alarm:(\w+)/.exec(fault)?.[1] ?? []))],
  }
}

/** The fields of a protocol buffer message by number: integers as bigint, strings and nested messages as bytes. */
function fieldsOf(bytes: Buffer): Map<number, (bigint | Buffer)[]> {
  const fields = new Map<number, (bigint | Buffer)[]>()
  let at = 0
  const varint = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at] ?? 0
      at += 1
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    const wireType = tag & 7
    let value: bigint | Buffer
    if (wireType === 0) value = varint()
    else {
      const length = wireType === 2 ? Number(varint()) : wireType === 1 ? 8 : 4
      value = bytes.subarray(at, at + length)
      at += length
    }
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), value])
  }
  return fields
}
