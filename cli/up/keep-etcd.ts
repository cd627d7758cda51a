import { systemClock } from '../../platform/clock.ts'
import { isFull, saysNoSpace } from './disk-room.ts'
import type { EtcdServer, Ports } from './etcd-server.ts'

/**
 * Keeps etcd running. It ends when its disk is full; meanwhile the runs that were claimed go on, and agent and operator wait.
 *
 *   runs ─▶ ended ─▶ disk full ─▶ wait for room ─▶ started on the same ports ─▶ runs
 *              └──────── else ────────────────────▶ started; after five failures in a row: gives up
 */
export interface KeptEtcd {
  /** Why etcd does not run at the moment. */
  trouble(): string | undefined
  /** Rejects if etcd cannot be started again. Resolves after `stop`. */
  readonly done: Promise<void>
  stop(): Promise<void>
}

export interface KeepOptions {
  /** Its directory. */
  state: string
  start(ports: Ports, signal: AbortSignal): Promise<EtcdServer>
  say(line: string): void
}

const RETRY_MS = 1_000
const MOST_FAILURES = 5

export function keepEtcd(first: EtcdServer, options: KeepOptions): KeptEtcd {
  const stopping = new AbortController()
  const { signal } = stopping
  let server = first
  let trouble: string | undefined
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      const { code, signal: killedBy } = await server.ended
      if (signal.aborted) return
      options.say(`etcd ended with ${killedBy ?? `exit code ${code}`}; starting it again`)
      trouble = 'does not run: it is being started again'
      const next = await startAgain(first.ports, {
        ...options,
        signal,
        onFull: text => void (trouble = text),
      })
      if (!next) return
      server = next
      trouble = undefined
      options.say('etcd runs again')
    }
  }
  const done = run()
  return {
    trouble: () => trouble,
    done,
    async stop() {
      stopping.abort(new Error('up ends'))
      await server.stop()
      await done.catch(() => undefined)
    },
  }
}

/** undefined: the signal has aborted. Throws the last fault after too many that are not for want of room. */
async function startAgain(
  ports: Ports,
  of: KeepOptions & { signal: AbortSignal; onFull(text: string): void },
): Promise<EtcdServer | undefined> {
  const { state, signal, say } = of
  const full = `does not run, because the disk of ${state} is full: free some space there, then it starts again`
  let told = false
  const onFull = () => {
    if (!told) say(`etcd ${full}`)
    told = true
    of.onFull(full)
  }
  for (let failures = 0; !signal.aborted; ) {
    await systemClock.sleep(RETRY_MS, signal).catch(() => undefined)
    if (signal.aborted) break
    if (await isFull(state)) {
      onFull()
      continue
    }
    try {
      return await of.start(ports, signal)
    } catch (error) {
      if (signal.aborted) break
      if (saysNoSpace(error) || (await isFull(state))) onFull()
      else if (++failures >= MOST_FAILURES) throw error
    }
  }
  return undefined
}
