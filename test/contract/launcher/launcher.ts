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

/** What the contract suite needs of a launcher: a state directory, connections, and the events that came on them. */

/** The launcher of these sources, built for this machine. */
export const launcherCommand: readonly string[] = [await launcherBinary()]

export const SESSION = 'session-1'
const PATIENCE_MS = 60_000

/** Waits until `look` gives something. */
export async function eventually<T>(
  what: string | (() => string),
  look: () => T | undefined | false | Promise<T>,
): Promise<T> {
  const until = systemClock.monotonic() + PATIENCE_MS
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (systemClock.monotonic() > until) {
      throw new Error(`never: ${typeof what === 'string' ? what : what()}`)
    }
    await systemClock.sleep(10)
  }
}

/** A zombie whose new parent takes its time is dead. */
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
  /** All output of a run. */
  output(id: string): Promise<OutputChunk[]>
}

export interface Bench {
  stateDir: string
  /** Starts a launcher if none lives: `by` this command in place of the bench's own. */
  connect(by?: readonly string[]): Promise<Connected>
  /** Kills what runs, ends the launcher, removes the directory. */
  end(): Promise<void>
}

/** `dieWith`: the launcher ends with this process; undefined: with what it is started in. */
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
  const told = <K extends LauncherEvent['type']>(type: K, id: string) =>
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
    ended: async id => (await told('ended', id)).record,
    started: async id => told('started', id),
    refused: async id => (await told('refused', id)).reason,
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

/** An order to run a shell script now, with `more` in place of the defaults. */
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

/** A fence that will not fall during a test. */
export const farAway = () => boottimeMs() + 600_000
