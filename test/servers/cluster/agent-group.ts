import { createHash } from 'node:crypto'
import { readlink } from 'node:fs/promises'

/** Where the chart's agents keep their state. */
const STATE = '/var/lib/shellcron/agent'

/** The control group of a node's agent: the nodes share this machine's groups (launcher/internal/cgroup). `pid`: of a process on the node. */
export async function agentGroupOf(pid: number): Promise<string> {
  const whose = `${STATE}\0${await readlink(`/proc/${pid}/ns/pid`)}`
  return `shellcron/shellcron-${createHash('sha256').update(whose).digest('hex').slice(0, 16)}`
}
