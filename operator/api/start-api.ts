import { join } from 'node:path'
import type { LogStore } from '../../store/log/port.ts'
import type { Context } from '../context.ts'
import { killObject, killRun } from '../end-attempt.ts'
import type { Reach } from '../enrolment/issue.ts'
import { makeToken } from '../enrolment/make-token.ts'
import type { Authority } from '../identity/authority.ts'
import type { OutputNotifier } from '../ingest/output-notifier.ts'
import type { LeaderTask } from '../operator.ts'
import { outputOf } from '../output/output-of.ts'
import type { Problem } from '../resources/port.ts'
import type { MadeAgents } from '../startup/local-agents.ts'
import { untilAborted } from '../until-aborted.ts'
import { agentRoutes } from './agents.ts'
import { historyRoutes } from './history.ts'
import { killRoutes } from './kill.ts'
import { objectRoutes } from './objects.ts'
import { outputRoutes } from './output.ts'
import type { OverviewFeed } from './overview.ts'
import { rightsOnSocket } from './rights.ts'
import { runRoutes } from './runs.ts'
import { type Routes, serveApi } from './server.ts'

export interface ApiOptions {
  stateDir: string
  feed: OverviewFeed
  notifier: OutputNotifier
  logStore: LogStore
  /** Problems besides those of the objects' files. */
  problems(): readonly Problem[]
  made(): MadeAgents | undefined
  enrolment: { authority: Authority; reach: Reach }
}

/** Serves the operator's socket while the operator leads. */
export function startApi(options: ApiOptions): LeaderTask {
  return async (context, signal) => {
    const { resources, log } = context
    const { feed, stateDir } = options
    const unfollow = feed.follow(resources)
    const api = await serveApi(join(stateDir, 'operator.sock'), routesOf(options, context), log)
    await untilAborted(signal)
    unfollow()
    await api.close()
  }
}

function routesOf(options: ApiOptions, context: Context): Routes[] {
  const { feed, notifier, logStore, problems, enrolment } = options
  const made = options.made()
  const { resources, mirrors, compared } = context
  return [
    objectRoutes({
      objects: () => feed.objects(resources),
      page: rows => feed.page(resources, rows),
      problems: () => [...resources.problems(), ...problems()],
      compared,
      onOutcome: feed.onOutcome,
    }),
    historyRoutes(logStore, rightsOnSocket),
    killRoutes({
      kill: run => killRun(context, run),
      killAll: (namespace, name) => killObject(context, namespace, name),
    }),
    outputRoutes(outputOf(context, { logStore, notifier }), rightsOnSocket),
    ...(made ? [agentRoutes({ made, makeToken: of => makeToken(context, enrolment, of) })] : []),
    runRoutes({ resources, mirrors, objectOf: ref => feed.object(resources, ref) }),
  ]
}
