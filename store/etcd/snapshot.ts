import type { ClusterMembers } from './cluster-members.ts'
import { EtcdUnavailable, readFaultOf } from './errors.ts'

/** 64-bit numbers come as text. */
interface Piece {
  remaining_bytes: string
  blob: Buffer
}

/** The database of one member in pieces, and then its SHA-256. Rejects if the member does not send all of it. */
export async function* readSnapshot(members: ClusterMembers, signal: AbortSignal): AsyncGenerator<Buffer> {
  const limit = members.callDeadline(signal)
  const { connection } = await members
    .connected('Maintenance', limit.signal, signal)
    .finally(() => limit.done())
  const what = `etcd snapshot at ${connection.endpoint}`
  let remaining: string | undefined
  try {
    for await (const piece of connection.messages<Piece>('Maintenance', 'snapshot', { signal })) {
      remaining = piece.remaining_bytes
      yield piece.blob
    }
  } catch (error) {
    signal.throwIfAborted()
    throw readFaultOf(error, what)
  }
  if (remaining !== '0') throw new EtcdUnavailable('Lost', `${what} ended early`)
}
