import type { LogStore } from '../../store/log/port.ts'
import type { OutputSource } from '../api/output.ts'
import type { Context } from '../context.ts'
import type { OutputNotifier } from '../ingest/output-notifier.ts'
import { attemptsOf, isGoing, isWaiting, jobOfRun, latestRun } from './attempts.ts'
import { streamOf } from './stream.ts'

/** The output that a leading operator can show. */
export function outputOf(
  { mirrors, clock }: Context,
  { logStore, notifier }: { logStore: LogStore; notifier: OutputNotifier },
): OutputSource {
  const known = { mirrors, store: logStore }
  return {
    latest: of => latestRun(known, of),
    attempts: run => attemptsOf(known, run),
    jobOf: run => jobOfRun(known, run),
    waits: run => isWaiting(mirrors, run),
    stream: (of, signal) =>
      streamOf(
        { ...of, store: logStore, notifier, clock, isGoing: () => isGoing(mirrors, of.attempt) },
        signal,
      ),
  }
}
