import { systemClock } from '../platform/clock.ts'
import { giveBackMemory, usesLittleCpu } from '../platform/garbage-collection.ts'
import { createLog } from '../platform/log.ts'
import { createOverviewFeed } from './api/overview.ts'
import { startApi } from './api/start-api.ts'
import { type EnrolmentOptions, enrolmentHandlers } from './enrolment/handlers.ts'
import { publishCa } from './enrolment/publish-ca.ts'
import { nodeTokenReviewer } from './enrolment/review-node-token.ts'
import { ingestHandlers } from './ingest/handler.ts'
import { createOutputNotifier } from './ingest/output-notifier.ts'

import type { LeaderTask } from './operator.ts'
import type { Problem } from './resources/port.ts'
import { startServer } from './server/start-server.ts'
import { type OperatorConfig, readConfig } from './startup/config.ts'
import { leaderEndpoint } from './startup/leader-endpoint.ts'
import { type AcrossTerms, startOperator } from './startup/start.ts'
import { createResultReporter } from './status/report-results.ts'
import { retentionTimer } from './upkeep/retention-timer.ts'
import { ticketTimer, usersOf } from './users/start-users.ts'
import { tokenRoutes } from './users/token-routes.ts'

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

function tasksOf(config: OperatorConfig, of: AcrossTerms): LeaderTask[] {
  const { outcomes, stateDir, authority, api, made } = of
  const { logStore } = outcomes
  const notifier = createOutputNotifier()
  const { statusWrites: writesPerSecond, verdictWrites: verdictsPerSecond } = config
  const report = { logStore, writesPerSecond, verdictsPerSecond }
  const retain = retentionTimer(logStore, config.retention)
  const handlers = [ingestHandlers({ store: logStore, notifier }), enrolmentHandlers(enrolmentOf(config, of))]
  const users = api
    ? {
        users: usersOf({
          api,
          logStore,
          notifier,
          routes: [tokenRoutes({ authority, reach: config.reach })],
        }),
      }
    : {}
  const server = config.listen ? [startServer({ listen: config.listen, authority, handlers, ...users })] : []
  if (config.mode.kind !== 'directory')
    return [createResultReporter(report), retain, ...server, ...inCluster(config, of)]
  const feed = createOverviewFeed(outcomes)
  let trouble: string | undefined
  const problems = (): Problem[] => (trouble === undefined ? [] : [{ file: 'log store', message: trouble }])
  const onTrouble = (message: string | undefined) => void (trouble = message)
  return [
    createResultReporter({ ...report, onStatus: feed.onStatus, onTrouble }),
    startApi({
      stateDir,
      feed,
      notifier,
      logStore,
      problems,
      made,
      enrolment: { authority, reach: config.reach },
    }),
    retain,
    ...server,
  ]
}

function enrolmentOf(
  { reach, nodes }: OperatorConfig,
  { authority, access, api }: AcrossTerms,
): EnrolmentOptions {
  const reviewNode = api && nodeTokenReviewer({ api, accounts: nodes.accounts })
  return { authority, access, reach, reviewNode }
}

function inCluster({ mode, endpoint, nodes }: OperatorConfig, { api, authority }: AcrossTerms): LeaderTask[] {
  if (mode.kind !== 'kubernetes' || !api) return []
  const ca = authority.caCert
  const agents = nodes.namespace === undefined ? [] : [publishCa({ api, namespace: nodes.namespace, ca })]
  if (!endpoint) return [ticketTimer(api), ...agents]
  const { namespace, identity } = mode
  const { service, ip, port } = endpoint
  const pod = { name: identity, ip }
  return [ticketTimer(api), ...agents, leaderEndpoint({ api, namespace, service, pod, port, ca })]
}
