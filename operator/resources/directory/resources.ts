import { relative } from 'node:path'
import type { Clock } from '../../../platform/clock.ts'
import type { Log } from '../../../platform/log.ts'
import { type Trust, trustIn } from '../../../platform/trust.ts'
import { createEventLimit } from '../event-limit.ts'
import { createListeners } from '../listeners.ts'
import type { ObjectRef, Resources } from '../port.ts'
import { isVerdict } from '../verdict.ts'
import { readFileText } from './documents.ts'
import { Folder } from './folder.ts'
import { Follower } from './follower.ts'
import { ObjectCache } from './object-cache.ts'
import { ProblemReport } from './problem-report.ts'
import { keyOf } from './record.ts'
import { Records } from './records.ts'
import { createFileLookups, type GivenSecrets } from './secrets.ts'
import type { StatusStore } from './status-store.ts'
import { createSubmittedRuns } from './submitted-runs.ts'
import { createRecordWrites, createRunWrites } from './writes.ts'

export interface DirectoryOptions {
  /** Where the YAML files are. */
  directory: string
  /** The folder for ShellRuns that were submitted without a file. Created if it is missing, and read like `directory`. */
  made: string
  /** Values of Secrets besides those that have files. */
  given?: GivenSecrets
  /** Who may own and write the files and their folders. Default: root and the user of this process. */
  trust?: Trust
  store: StatusStore
  clock: Clock
  log: Log
}

/** The operator's objects in YAML files, without Kubernetes. The status store holds what Kubernetes would add to them. */
export function createDirectoryResources(options: DirectoryOptions): Resources {
  const { directory, store, clock, log, trust = trustIn() } = options
  const changes = createListeners<ObjectRef>(log)
  const cache = new ObjectCache(changes.notify, log)
  const records = new Records(store, (key, record) => cache.update(key, record))
  const submitted = createSubmittedRuns(options.made)
  const also = [relative(directory, options.made)]
  const folder = new Folder({ root: directory, also, trust, clock, parse: readFileText })
  const lookups = createFileLookups(directory, changes.notify, { given: options.given, trust })
  const problems = new ProblemReport(log, lookups.problems)
  const follower = new Follower({ directory, folder, records, lookups, problems, clock, log })
  return {
    async start(signal) {
      await submitted.open()
      await records.load(signal, clock, log)
      await follower.start(signal)
    },
    get: (kind, namespace, name) => cache.get(kind, namespace, name),
    list: kind => cache.list(kind),
    uids: kind => records.uids(kind),
    unreadable: (kind, namespace, name) => cache.unreadable(kind, namespace, name),
    isSettled: ref => {
      const record = records.get(keyOf(ref))
      return isVerdict(record?.status, record?.generation)
    },
    onChange: changes.add,
    onForeignStatus: () => () => undefined,
    denied: () => [],
    staleForMs: () => follower.staleForMs(),
    async lookUp(...of) {
      const found = await lookups.lookUp(...of)
      problems.report()
      return found
    },
    event: logEvents(clock, log),
    ...createRecordWrites(records),
    ...createRunWrites({ directory, records, submitted, clock }),
    putAgent: () =>
      Promise.reject(new Error('a directory has no Nodes, so no agents can be created for them')),
    problems: () => problems.all(),
    onProblems: listener => problems.onChange(listener),
  }
}

function logEvents(clock: Clock, log: Log): Resources['event'] {
  const isAllowed = createEventLimit(clock)
  return (ref, uid, { type, reason, message }) => {
    if (!isAllowed(uid)) return
    log[type === 'Warning' ? 'warn' : 'info']({ ...ref, reason, message }, 'object.event')
  }
}
