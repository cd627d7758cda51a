import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { IDENTITY_FILES } from '../../core/records/identity-files.ts'
import { systemClock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { Etcd } from '../../store/etcd/client.ts'
import type { Agent } from '../agent.ts'
import type { IngestClient } from '../output/ingest-client.ts'
import type { AgentConfig } from '../startup/config.ts'
import type { Identity } from '../startup/identity.ts'
import { type KeptIdentity, keepIdentity } from './keep-identity.ts'

/** etcd proves every 2.5 s that a watch lives. */
const STALE_LOOK_MS = 30_000

/** `leave`: called if the identity has ended and the agent's next start can enrol it anew. */
export function keptIdentity(
  of: { config: AgentConfig; identity: Identity; etcd: Etcd; client: IngestClient | undefined; log: Log },
  leave: () => void,
): KeptIdentity {
  const { config, identity, etcd, client, log } = of
  return keepIdentity({
    dir: config.identity,
    operator: config.operator,
    identity,
    clock: systemClock,
    log,
    random: Math.random,
    onRenewed: ({ tls }) => {
      etcd.useTls(tls)
      client?.useTls(tls)
    },
    onEnded: () => {
      if (config.enrolTokenFile === undefined) return
      rmSync(join(config.identity, IDENTITY_FILES.cert), { force: true })
      leave()
    },
  })
}

/** etcd that does not answer may have removed the user. Then the operator tells, and the log says it. */
export async function doubtWhenStale(agent: Agent, kept: KeptIdentity, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await systemClock.sleep(STALE_LOOK_MS, signal).catch(() => undefined)
    if (!signal.aborted && agent.staleForMs() > STALE_LOOK_MS) kept.doubt()
  }
}
