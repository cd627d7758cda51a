import type { IStatusResponse } from 'etcd3'
import type { Members } from './members.ts'
import type { Status } from './types.ts'

export async function readStatus(members: Members, signal?: AbortSignal): Promise<Status> {
  const answer = await members.read<IStatusResponse>(
    { service: 'Maintenance', method: 'status', request: {} },
    signal,
  )
  return {
    version: answer.version,
    dbSize: Number(answer.dbSize),
    dbSizeInUse: Number(answer.dbSizeInUse),
    dbSizeQuota: undefined,
    leader: answer.leader,
    raftTerm: answer.raftTerm,
    // A member lists its faults as texts: 'memberID:1234 alarm:NOSPACE '.
    alarms: [...new Set(answer.errors.flatMap(text => /alarm:(\w+)/.exec(text)?.[1] ?? []))],
  }
}
