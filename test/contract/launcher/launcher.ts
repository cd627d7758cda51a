import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Launcher } from '../../../agent/launcher/launcher.ts'
import type { Arm, ExitRecord, LauncherEvent } from '../../../agent/launcher/messages.ts'
import { ensureLauncher } from '../../../agent/launcher/start.ts'
import { chunksOf, type OutputChunk } from '../../../core/output/chunks.ts'
import { boottimeMs } from '../../../platform/boottime.ts'
import { systemClock } from '../../../platform/clock.ts'
import { silentLog } from '../../../platform/log.ts'
import { launcherBinary } from '../../../scripts/go-programs.ts'

/** A launcher for the contract suite: its state directory, connections to it, and the events that arrived on them. */

/** The launcher of these sources, built for this machine. */
export const launcherCommand: readonly string[] = [await launcherBinary()]

export const SESSION = 'session-1'
const DEADLINE_MS = 60_000

/** Polls `look` until it returns something other than undefined and false. Throws after a minute. */
export async function eventually<T>(
  what: string | (() => string),
  look: () => T | undefined | false | Promise<T>,
): Promise<T> {
  const until = systemClock.monotonic() + DEADLINE_MS
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (systemClock.monotonic() > until) {
      throw new Error(`never: ${typeof what === 'string' ? what : what()}`)
    }
    await systemClock.sleep(10)
  }
}

/** A zombie that its new parent has not reaped yet counts as dead. */
export function isAlive(pid: number): boolean {
  const { status, stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
  return status === 0 && !stdout.startsWith('Z')
}

export interface Connected {
  launcher: Launcher
  events: LauncherEvent[]
  ended(id: string): Promise<ExitRecord>
  started(id: string): Promise<{ at: number; pid: number }>
  refused(id: string): Promise<string>
  /** The whole output of a run. */
  output(id: string): Promise<OutputChunk[]>
}

export interface Bench {
  stateDir: string
  /** Connects. If no launcher is running, starts one with `by` or else the bench's command. */
  connect(by?: readonly string[]): Promise<Connected>
  /** Kills all runs, ends the launcher and removes the directory. */
  end(): Promise<void>
}

/** `dieWith`: the launcher ends when this process ends. Without it, the launcher ends with the machine that it is started in. */
export function bench(
  command: readonly string[],
  dir = '',
  dieWith: { dieWith?: number } = { dieWith: process.pid },
): Bench {
  const root = mkdtempSync(join(tmpdir(), 'shellcron-launcher-'))
  const stateDir = join(root, dir)
  const open = (by = command) =>
    ensureLauncher({ stateDir, log: silentLog, program: { command: by }, ...dieWith })
  return {
    stateDir,
    connect: async by => listenTo(await open(by)),
    end: async () => {
      await (await open()).stop(false)
      rmSync(root, { recursive: true })
    },
  }
}

export function listenTo(launcher: Launcher): Connected {
  const events: LauncherEvent[] = []
  launcher.onEvent(event => events.push(event))
  const eventOf = <K extends LauncherEvent['type']>(type: K, id: string) =>
    eventually(
      `${type} ${id}`,
      () =>
        events.find(event => event.type === type && event.id === id) as
          | Extract<LauncherEvent, { type: K }>
          | undefined,
    )
  return {
    launcher,
    events,
    ended: async id => (await eventOf('ended', id)).record,
    started: async id => eventOf('started', id),
    refused: async id => (await eventOf('refused', id)).reason,
    output: id => readAll(launcher, id),
  }
}

async function readAll(launcher: Launcher, id: string): Promise<OutputChunk[]> {
  const chunks: OutputChunk[] = []
  for (let offset = 0; ; ) {
    const part = await launcher.read(id, { offset, length: 100_000, waitMs: 1_000 })
    chunks.push(...chunksOf(part.bytes))
    offset = part.next
    if (part.end) return chunks
  }
}

export function bytesOf(from: readonly OutputChunk[] | Uint8Array, stream: 'stdout' | 'stderr'): Buffer {
  const chunks = from instanceof Uint8Array ? chunksOf(from) : from
  return Buffer.concat(chunks.flatMap(chunk => (chunk.stream === stream ? [chunk.data] : [])))
}

/** An order to run a shell script now. `more` overrides the defaults. */
export function script(id: string, text: string, more: Partial<Arm> = {}): Arm {
  return {
    id,
    session: SESSION,
    at: 0,
    argv: ['/bin/sh', '-c', text],
    env: {},
    workingDir: '/',
    graceMs: 60_000,
    outputLimit: 10_000_000,
    fenced: true,
    ...more,
  }
}

/** The time of a fence that does not fall during a test. */
export const farAway = () => boottimeMs() + 600_000
