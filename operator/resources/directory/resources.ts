import { rm } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../../../platform/clock.ts'
import { messageOf, Unavailable } from '../../../platform/errors.ts'
import type { Log } from '../../../platform/log.ts'
import { createEventLimit } from '../event-limit.ts'
import { createListeners } from '../listeners.ts'
import type { CachedKind, ObjectRef, Objects, Problem, Resources } from '../port.ts'
import { readFileText } from './documents.ts'
import { Folder } from './folder.ts'
import { plan } from './plan.ts'
import { keyOf } from './record.ts'
import { Records } from './records.ts'
import { createFileLookups, type Given } from './secrets.ts'
import type { StatusStore } from './status-store.ts'
import { createSubmittedRuns } from './submitted-runs.ts'
import { toObject } from './to-object.ts'
import { createRecordWrites } from './writes.ts'

export interface DirectoryOptions {
  /** Where the YAML files are. */
  directory: string
  /** Where ShellRuns are written that nobody wrote a file for; made if it is missing. Read as the directory is. */
  made: string
  /** Values of Secrets beside those that have files. */
  given?: Given
  store: StatusStore
  clock: Clock
  log: Log
}

/** A change waits so long for its writer to finish; then it is looked at again. In ms. */
const SETTLE = 150
const POLL = 1_000
/** What was written here is in force within this, or something is wrong. In ms. */
const SEEN_WITHIN = 15_000

/** The operator's objects in YAML files, without Kubernetes. What Kubernetes would add to them lies in the status store. */
export function createDirectoryResources(options: DirectoryOptions): Resources {
  const { directory, store, clock, log } = options
  const made = createSubmittedRuns(options.made)
  const changes = createListeners<ObjectRef>(log)
  const problemListeners = createListeners<readonly Problem[]>(log)
  const cache = new Map<string, Objects[CachedKind]>()
  const unreadable = new Map<string, string>()
  const records = new Records(store, (key, record) => {
    const before = cache.get(key)
    unreadable.delete(key)
    try {
      if (record) cache.set(key, toObject(key, record) as Objects[CachedKind])
      else cache.delete(key)
    } catch (error) {
      unreadable.set(key, messageOf(error))
      log.error({ key, error: messageOf(error) }, 'object.unreadable')
    }
    if (!isDeepStrictEqual(before, cache.get(key))) changes.tell(refOf(key))
  })
  const folder = new Folder({
    root: directory,
    also: [relative(directory, options.made)],
    clock,
    parse: readFileText,
  })
  const lookups = createFileLookups(directory, changes.tell, options.given)
  const allowEvent = createEventLimit(clock)
  let problems: readonly Problem[] = []
  let told: readonly Problem[] = []
  /** The state of folder and records that was planned for last. */
  let inForce = ''
  let lookedAt = clock.monotonic()

  const allProblems = () => [...problems, ...lookups.problems()]
  const tellProblems = () => {
    const now = allProblems()
    if (isDeepStrictEqual(now, told)) return
    for (const problem of now)
      if (!told.some(one => isDeepStrictEqual(one, problem))) log.warn({ ...problem }, 'directory.problem')
    told = now
    problemListeners.tell(now)
  }

  /** Whether all that lies in the directory is in force. */
  const look = async (): Promise<boolean> => {
    const settled = await folder.look()
    const state = `${settled} ${folder.version} ${records.removed}`
    if (state !== inForce) {
      const { files, unreadable } = folder
      await records.change(current => {
        const steps = plan({ records: current, files, unreadable, settled, now: clock.now() })
        problems = steps.problems
        tellProblems()
        return steps
      })
      inForce = state
    }
    const lookupsSettled = await lookups.check()
    lookedAt = clock.monotonic()
    return settled && lookupsSettled
  }

  const follow = async (signal: AbortSignal, first: PromiseWithResolvers<void>) => {
    while (!signal.aborted) {
      const startedAt = clock.monotonic()
      const settled = await tryTo(look, error => log.warn({ directory, error }, 'directory.failed'))
      if (settled) first.resolve()
      // A large tree is looked through less often.
      const cost = clock.monotonic() - startedAt
      await clock.sleep(Math.max(SETTLE, 5 * cost), signal).catch(() => undefined)
      if (settled) await folder.stirred(POLL, signal)
    }
    folder.close()
    first.reject(signal.reason)
  }

  return {
    async start(signal) {
      await made.open()
      await records.load(signal, clock, log)
      const first = Promise.withResolvers<void>()
      void follow(signal, first)
      await first.promise
    },
    get: <K extends CachedKind>(kind: K, namespace: string, name: string) =>
      cache.get(keyOf({ kind, namespace, name })) as Objects[K] | undefined,
    list: <K extends CachedKind>(kind: K) =>
      [...cache.values()].filter((one): one is Objects[K] => one.kind === kind),
    uids: kind => records.uids(kind),
    unreadable: (kind, namespace, name) => unreadable.get(keyOf({ kind, namespace, name })),
    onChange: changes.add,
    silence: () => clock.monotonic() - lookedAt,
    async lookUp(...of) {
      const found = await lookups.lookUp(...of)
      tellProblems()
      return found
    },
    event(ref, uid, { type, reason, message }) {
      if (allowEvent(uid))
        log[type === 'Warning' ? 'warn' : 'info']({ ...ref, reason, message }, 'object.event')
    },
    ...createRecordWrites(records),
    putAgent: () => Promise.reject(new Error('a directory has no Nodes to make agents for')),
    async createRun(manifest) {
      const key = keyOf({ ...manifest, kind: 'ShellRun' })
      if (records.get(key) || !(await made.write(manifest))) return { kind: 'exists' }
      const uid = () => records.get(key)?.uid
      const until = clock.monotonic() + SEEN_WITHIN
      while (uid() === undefined && clock.monotonic() < until) await clock.sleep(SETTLE / 3)
      const seen = uid()
      if (seen === undefined)
        throw new Unavailable(`${made.fileOf(manifest)} was written, and is not in force yet`)
      return { kind: 'created', uid: seen }
    },
    async remove(ref, uid) {
      const record = records.get(keyOf(ref))
      const file = made.fileOf(ref)
      if (record?.uid !== uid || resolve(directory, record.file) !== resolve(file)) return 'kept'
      await rm(file, { force: true })
      return 'removed'
    },
    problems: allProblems,
    onProblems: problemListeners.add,
  }
}

async function tryTo(work: () => Promise<boolean>, onError: (message: string) => void): Promise<boolean> {
  try {
    return await work()
  } catch (error) {
    onError(messageOf(error))
    return false
  }
}

function refOf(key: string): ObjectRef {
  const [kind, namespace = '', name = ''] = key.split('/')
  return { kind: kind as CachedKind, namespace, name }
}
