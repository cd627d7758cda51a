import { join } from 'node:path'
import type { LogStore } from '../../store/log/port.ts'
import type { Context } from '../context.ts'
import { killObject, killRun } from '../end-attempt.ts'
import type { OutputNotifier } from '../ingest/output-notifier.ts'
import type { LeaderTask } from '../operator.ts'
import { attemptsOf, isGoing, isWaiting, latestRun } from '../output/attempts.ts'
import { streamOf } from '../output/stream.ts'
import type { Problem } from '../resources/port.ts'
import { untilAborted } from '../until-aborted.ts'
import { historyRoutes } from './history.ts'
import { killRoutes } from './kill.ts'
import { objectRoutes } from './objects.ts'
import { outputRoutes } from './output.ts'
import type { OverviewFeed } from './overview.ts'
import { runRoutes } from './runs.ts'
import { type Routes, serveApi } from './server.ts'

export interface ApiOptions {
  stateDir: string
  feed: OverviewFeed
  notifier: OutputNotifier
  logStore: LogStore
  /** Problems besides those of the objects' files. */
  problems(): readonly Problem[]
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

function routesOf({ feed, notifier, logStore, problems }: ApiOptions, context: Context): Routes[] {
  const { resources, clock, mirrors, compared } = context
  const known = { mirrors, store: logStore }
  return [
    objectRoutes({
      objects: () => feed.objects(resources),
      page: rows => feed.page(resources, rows),
      problems: () => [...resources.problems(), ...problems()],
      compared,
      onOutcome: feed.onOutcome,
    }),
    historyRoutes(logStore),
    killRoutes({
      kill: run => killRun(context, run),
      killAll: (namespace, name) => killObject(context, namespace, name),
    }),
    outputRoutes({
      latest: of => latestRun(known, of),
      attempts: run => attemptsOf({ ...known, clock }, run),
      waits: run => isWaiting(mirrors, run),
      stream: (of, signal) =>
        streamOf(
          { ...of, store: logStore, notifier, clock, isGoing: () => isGoing(mirrors, of.attempt) },
          signal,
        ),
    }),
    runRoutes({ resources, mirrors, objectOf: ref => feed.object(resources, ref) }),
  ]
}
