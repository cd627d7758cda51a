import { InvalidInput } from '../core/errors.ts'
import { subdomainName } from '../core/schema/metadata.ts'
import { systemClock } from '../platform/clock.ts'
import { giveBackMemory, usesLittleCpu } from '../platform/garbage-collection.ts'
import { createLog } from '../platform/log.ts'
import { createOverviewFeed } from './api/overview.ts'
import { startApi } from './api/start-api.ts'
import { openAuthority } from './identity/authority.ts'
import { issueIdentity, writeIdentity } from './identity/enrol.ts'
import { openIdentity } from './identity/identity.ts'
import { fileKeyStore, keysDir } from './identity/keystore.ts'
import { createOutputNotifier } from './ingest/output-notifier.ts'
import { startIngest } from './ingest/start-ingest.ts'
import type { LeaderTask } from './operator.ts'
import type { Problem } from './resources/port.ts'
import { type OperatorConfig, readConfig } from './startup/config.ts'
import { rememberAgent } from './startup/local-agents.ts'
import { secretsFromEnv, variablesOf } from './startup/secret-from-env.ts'
import { type AcrossTerms, startOperator } from './startup/start.ts'
import { createResultReporter } from './status/report-results.ts'
import { retentionTimer } from './upkeep/retention-timer.ts'

/** Runs an operator until the signal aborts. `readConfig` lists the settings. */
export async function main(settings: Record<string, unknown>, signal: AbortSignal): Promise<void> {
  const config = readConfig(settings)
  const log = createLog(config.logLevel, { part: 'operator' })
  const tasks = (of: AcrossTerms) => tasksOf(config, of)
  const operator = await startOperator({ config, clock: systemClock, log, tasks }, signal)
  const ended = new AbortController()
  void giveBackMemory(systemClock, usesLittleCpu(systemClock), AbortSignal.any([signal, ended.signal]))
  try {
    await operator.done
  } finally {
    ended.abort(new Error('the operator has ended'))
  }
}

function tasksOf(config: OperatorConfig, { outcomes, stateDir, authority }: AcrossTerms): LeaderTask[] {
  const { logStore } = outcomes
  const notifier = createOutputNotifier()
  const { statusWrites: writesPerSecond, verdictWrites: verdictsPerSecond } = config
  const report = { logStore, writesPerSecond, verdictsPerSecond }
  const retain = retentionTimer(logStore, config.retention)
  const ingest = config.ingest
    ? [startIngest({ ingest: config.ingest, authority, store: logStore, notifier })]
    : []
  if (config.mode.kind !== 'directory') return [createResultReporter(report), retain, ...ingest]
  const feed = createOverviewFeed(outcomes)
  let trouble: string | undefined
  const problems = (): Problem[] => (trouble === undefined ? [] : [{ file: 'log store', message: trouble }])
  const onTrouble = (message: string | undefined) => void (trouble = message)
  return [
    createResultReporter({ ...report, onStatus: feed.onStatus, onTrouble }),
    startApi({ stateDir, feed, notifier, logStore, problems }),
    retain,
    ...ingest,
  ]
}

/** How long a local agent's certificate is valid, h. Each enrolment, and so each start of `up`, issues a new one. */
const LOCAL_HOURS = 24 * 365

/**
 * Standalone: enrols an agent on the operator's own machine. Fills its identity directory, and registers it as a ShellAgent of the pool,
 * which the operator reads at its next start. Repeating it renews the certificate.
 */
export async function enrolLocal(of: {
  stateDir: string
  name: string
  pool: string
  dir: string
}): Promise<void> {
  // The name becomes that of a file.
  if (!subdomainName.safeParse(of.name).success)
    throw new InvalidInput('name', `"${of.name}" is no agent's name`)
  const store = await fileKeyStore(keysDir(of.stateDir))
  const trust = { identity: await openIdentity(store), authority: await openAuthority(store) }
  const enrolment = { agent: of.name, pool: of.pool, hours: LOCAL_HOURS }
  await writeIdentity(of.dir, await issueIdentity(trust, enrolment))
  await rememberAgent(of.stateDir, of)
}

/** The variables that `--secret-from-env` names. Throws InvalidInput as the operator's start would. */
export function variablesOfSecrets(settings: readonly string[]): string[] {
  secretsFromEnv(settings, process.env)
  return variablesOf(settings)
}

/** Issues a certificate for an etcd member on this machine. `ca` is the authority that its clients' certificates come from. PEM. */
export async function certifyEtcd(of: {
  stateDir: string
  names: string[]
}): Promise<{ ca: string; cert: string; key: string }> {
  const authority = await openAuthority(await fileKeyStore(keysDir(of.stateDir)))
  return { ca: authority.caCert, ...(await authority.server(of.names, LOCAL_HOURS)) }
}
