import { join } from 'node:path'
import { systemClock } from '../platform/clock.ts'
import { createLog } from '../platform/log.ts'
import type { LogStore } from '../store/log/port.ts'
import { historyRoutes } from './api/history.ts'
import { killRoutes } from './api/kill.ts'
import { objectRoutes } from './api/objects.ts'
import { outputRoutes } from './api/output.ts'
import { createOverviewFeed, type OverviewFeed } from './api/overview.ts'
import { runRoutes } from './api/runs.ts'
import { serveApi } from './api/server.ts'
import { killObject, killRun } from './end-attempt.ts'
import { openAuthority } from './identity/authority.ts'
import { issueIdentity, writeIdentity } from './identity/enrol.ts'
import { openIdentity } from './identity/identity.ts'
import { fileKeyStore } from './identity/keystore.ts'
import { createOutputNotifier, type OutputNotifier } from './ingest/output-notifier.ts'
import { startIngest } from './ingest/start-ingest.ts'
import type { LeaderTask } from './operator.ts'
import { attemptsOf, isGoing, latestRun, waits } from './output/attempts.ts'
import { streamOf } from './output/stream.ts'
import type { Problem } from './resources/port.ts'
import { readConfig } from './startup/config.ts'
import { rememberAgent } from './startup/local-agents.ts'
import { secretsFromEnv, variablesOf } from './startup/secret-from-env.ts'
import { type AcrossTerms, keysDir, startOperator } from './startup/start.ts'
import { createResultReporter } from './status/report-results.ts'
import { retentionTimer } from './upkeep/retention-timer.ts'

/** Runs an operator until `stop` aborts. Settings as `readConfig` takes them. */
export async function main(settings: Record<string, unknown>, stop: AbortSignal): Promise<void> {
  const config = readConfig(settings)
  const log = createLog(config.logLevel, { part: 'operator' })
  const parts = ({ outcomes, stateDir, authority }: AcrossTerms): LeaderTask[] => {
    const report = { logStore: outcomes.logStore, writesPerSecond: config.statusWrites }
    const tail = createOutputNotifier()
    const retain = retentionTimer(outcomes.logStore, config.retention)
    const store = outcomes.logStore
    const ingest = config.ingest ? [startIngest({ listen: config.ingest, authority, store, tail })] : []
    if (config.mode.kind !== 'directory') return [createResultReporter(report), retain, ...ingest]
    const seen = createOverviewFeed(outcomes)
    let trouble: string | undefined
    const problems = (): Problem[] => (trouble === undefined ? [] : [{ file: 'log store', message: trouble }])
    return [
      createResultReporter({ ...report, onStatus: seen.onStatus, onTrouble: why => void (trouble = why) }),
      apiPart(join(stateDir, 'operator.sock'), { seen, tail, logStore: outcomes.logStore, problems }),
      retain,
      ...ingest,
    ]
  }
  const operator = await startOperator({ config, clock: systemClock, log, parts }, stop)
  await operator.done
}

/** The routes on the operator's socket, while it leads. */
function apiPart(
  path: string,
  of: { seen: OverviewFeed; tail: OutputNotifier; logStore: LogStore; problems(): Problem[] },
): LeaderTask {
  return async (context, signal) => {
    const { seen, tail, logStore, problems } = of
    const { resources, clock, mirrors } = context
    const known = { mirrors, store: logStore }
    resources.onChange(ref => {
      if (ref.kind === 'Secret' || ref.kind === 'ConfigMap') return
      if (!resources.get(ref.kind, ref.namespace, ref.name)) seen.onGone(ref)
    })
    const routes = [
      objectRoutes({
        objects: () => seen.objects(resources),
        problems: () => [...resources.problems(), ...problems()],
        onOutcome: seen.onOutcome,
      }),
      historyRoutes(logStore),
      killRoutes({
        kill: run => killRun(context, run),
        killAll: (namespace, name) => killObject(context, namespace, name),
      }),
      outputRoutes({
        latest: of => latestRun(known, of),
        attempts: run => attemptsOf(known, run),
        waits: run => waits(mirrors, run),
        stream: (of, until) =>
          streamOf(
            { ...of, store: logStore, tail, clock, isGoing: () => isGoing(mirrors, of.attempt) },
            until,
          ),
      }),
      runRoutes({ resources, objectOf: ref => seen.object(resources, ref) }),
    ]
    const api = await serveApi(path, routes, context.log)
    await new Promise<void>(resolve => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
    await api.close()
  }
}

/** A local agent's certificate is good so long, h: it gets another one with each enrolment, which is each start of `up`. */
const LOCAL_HOURS = 24 * 365

/**
 * Enrols an agent on the operator's own machine, standalone: fills its identity directory, and makes it a ShellAgent of the pool, as
 * the operator sees at its next start. Repeating it renews the certificate.
 */
export async function enrolLocal(of: {
  stateDir: string
  name: string
  pool: string
  dir: string
}): Promise<void> {
  const store = await fileKeyStore(keysDir(of.stateDir))
  const trust = { identity: await openIdentity(store), authority: await openAuthority(store) }
  const enrolment = { agent: of.name, pool: of.pool, hours: LOCAL_HOURS }
  await writeIdentity(of.dir, await issueIdentity(trust, enrolment))
  await rememberAgent(of.stateDir, of)
}

/** The variables that `--secret-from-env` names; throws InvalidInput as the operator's own start would. */
export function variablesOfSecrets(settings: readonly string[]): string[] {
  secretsFromEnv(settings, process.env)
  return variablesOf(settings)
}

/** What an etcd member on this machine needs: its own certificate, the authority that its clients' are of. PEM. */
export async function certifyEtcd(of: {
  stateDir: string
  names: string[]
}): Promise<{ ca: string; cert: string; key: string }> {
  const authority = await openAuthority(await fileKeyStore(keysDir(of.stateDir)))
  return { ca: authority.caCert, ...(await authority.server(of.names, LOCAL_HOURS)) }
}
