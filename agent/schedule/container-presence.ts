import { spawn } from 'node:child_process'
import type { Entry } from '../../core/records/entry.ts'
import { type Clock, deadline } from '../../platform/clock.ts'
import { createSemaphore } from '../../platform/semaphore.ts'
import { type Container, type ContainerSettings, selection } from '../runs/container-command.ts'

/**
 * Which agent has the container? Who ranks agents cannot know, so an agent declines what it has no container for, and whoever has one takes
 * it: ranks 1 and 2 a second later, the others when the operator offers it. Where nobody has one rank 0 takes it in the end, so that the
 * time ends as ContainerNotFound.
 */
export interface ContainerPresence {
  /**
   * undefined: this agent may take it. Else when to look at it again, ms since the epoch. `what`: a job's target, or a ShellRun's; `from`: when it
   * is due; `others`: how many agents beside this one may take it. Rejects only when the signal aborts.
   */
  declinesUntil(of: {
    what: string
    entry: Entry
    from: number
    rank: number
    others: number
    signal: AbortSignal
  }): Promise<number | undefined>
}

/** Ranks 1 and 2 have looked by then, and after 3 s the operator has offered it; under `catchUp: None` a time is open for 5 s. */
const NOBODY_HAS_IT_AFTER_MS = 4_500
/** From the question on, whoever is asked before. */
const ANSWER_WITHIN_MS = 5_000
/** Each is a process that asks the runtime; what starts at that moment wants the processor too. */
const AT_ONCE = 4
/** Pods come and go; a job that is due every second need not ask each time. */
const KEPT_FOR_MS = 1_500
const LOOK_EVERY_MS = 1_000
const FORGOTTEN_AFTER_MS = 60_000

export function createContainerPresence(settings: ContainerSettings, clock: Clock): ContainerPresence {
  /** `at`: since when there is an answer. */
  const known = new Map<string, { at: number | undefined; answer: Promise<boolean> }>()
  const turns = createSemaphore(AT_ONCE)
  /** What has no container here: since when that is known, and when it was last asked for. */
  const absent = new Map<string, { since: number; asked: number }>()

  /** What goes wrong is no container either: whoever else has one is better off. */
  const ask = async (helper: string, request: string, signal: AbortSignal): Promise<boolean> => {
    const wait = deadline(ANSWER_WITHIN_MS, signal)
    try {
      return await turns.run(() => look(helper, request, wait.signal), wait.signal)
    } catch {
      return false
    } finally {
      wait.done()
    }
  }

  const has = (container: Container, namespace: string, signal: AbortSignal): Promise<boolean> => {
    const { helper } = settings
    if (helper === undefined) return Promise.resolve(false)
    const request = JSON.stringify(selection(container, namespace, settings))
    const oldest = clock.monotonic() - KEPT_FOR_MS
    for (const [key, { at }] of known) if (at !== undefined && at < oldest) known.delete(key)
    const there = known.get(request)
    if (there) return there.answer
    const asked = { at: undefined as number | undefined, answer: ask(helper, request, signal) }
    known.set(request, asked)
    void asked.answer.then(() => {
      asked.at = clock.monotonic()
      // Who comes next is not to be told what was not found out.
      if (signal.aborted) known.delete(request)
    })
    return asked.answer
  }

  /** Who comes late to something waits for the others all the same; but for each of its times no longer than from when that is due. */
  const absentSince = (what: string): number => {
    const now = clock.now()
    for (const [other, { asked }] of absent) if (asked < now - FORGOTTEN_AFTER_MS) absent.delete(other)
    const since = absent.get(what)?.since ?? now
    absent.set(what, { since, asked: now })
    return since
  }

  return {
    async declinesUntil({ what, entry: { command, namespace }, from, rank, others, signal }) {
      const { container, placement } = command
      // In All each agent is a target of its own, whatever it has.
      if (!container || others === 0 || placement.mode === 'All') return undefined
      const end = Math.max(absentSince(what), from) + NOBODY_HAS_IT_AFTER_MS
      if (rank === 0 && clock.now() >= end) return undefined
      const isHere = await has(container, namespace, signal)
      signal.throwIfAborted()
      if (isHere) {
        absent.delete(what)
        return undefined
      }
      return rank === 0 ? end : clock.now() + LOOK_EVERY_MS
    },
  }
}

/** Rejects if it cannot be asked, or the signal aborts: then it ends. */
function look(helper: string, request: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(helper, ['--find'], {
      env: {},
      stdio: ['pipe', 'ignore', 'ignore'],
      signal,
      killSignal: 'SIGKILL',
    })
    child.on('error', reject)
    child.on('exit', code => resolve(code === 0))
    child.stdin.on('error', () => undefined)
    child.stdin.end(request)
  })
}
