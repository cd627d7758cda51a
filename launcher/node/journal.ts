import {
  closeSync,
  constants,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { systemClock } from '../../platform/clock.ts'
import type { ExitRecord } from './protocol.ts'

/**
 * What must survive the launcher, one JSON line each, appended: which process a run is (to find it again), how it ended, and
 * that the agent has taken that over. The file is rewritten with what still counts when it has grown, and when the disk takes lines again
 * after it has refused some. What a launcher finds on a full disk it goes on with as it is: runs of the one before must not live on, and
 * what they wrote takes the room.
 */
export type JournalEntry =
  /**
   * Written before the start: a launcher that dies between the start of a process and its `started` leaves the mark, and the notes, to
   * find that process by. Without a mark it is empty. Such a run is killed and not told of.
   */
  | { type: 'armed'; id: string; boot: string; mark: string }
  | {
      type: 'started'
      id: string
      session: string
      at: number
      startedAt: number
      fenced: boolean
      pid: number
      /** Start time of the process in kernel ticks, null where there is no /proc. */
      ticks: number | null
      boot: string
      mark?: string
      labels?: Record<string, string>
    }
  | { type: 'ended'; at: number; fenced: boolean; record: ExitRecord }
  | { type: 'forgotten'; ids: readonly string[] }

/** Without what the command said: that lies in its spool, which goes when the run is forgotten; lines of the journal stay longer. */
export function silent(record: ExitRecord): ExitRecord {
  return { ...record, tail: '' }
}

export type ArmedEntry = Extract<JournalEntry, { type: 'armed' }>
type Live = ArmedEntry | StartedEntry | EndedEntry
export type StartedEntry = Extract<JournalEntry, { type: 'started' }>
export type EndedEntry = Extract<JournalEntry, { type: 'ended' }>

const REWRITE_BYTES = 4 * 1024 * 1024
const REPAIR_MS = 5_000
const { O_APPEND, O_CREAT, O_TRUNC, O_WRONLY } = constants
const sync = promisify(fdatasync)

export class Journal {
  readonly #path: string
  readonly #complain: (error: unknown) => void
  readonly #live: Map<string, Live>
  #fd: number
  #size = 0
  /** The disk has refused something that counts. */
  #isBehind = false
  #wanted: Promise<void> | undefined
  #syncing: Promise<void> = Promise.resolve()

  /** `complain` is called when the disk refuses, once until it takes lines again. */
  constructor(path: string, complain: (error: unknown) => void) {
    this.#path = path
    this.#complain = complain
    const { live, whole } = load(path)
    this.#live = live
    try {
      this.#fd = this.#rewrite()
    } catch (error) {
      this.#fd = openSync(path, 'a', 0o600)
      this.#size = whole
      this.#refused(error)
    }
  }

  /** What the launcher before this one left: started without an end, or ended and not forgotten. */
  get entries(): (StartedEntry | EndedEntry)[] {
    return [...this.#live.values()].filter(entry => entry.type !== 'armed')
  }

  /** What it was about to start, or may have. */
  get armed(): ArmedEntry[] {
    return [...this.#live.values()].filter(entry => entry.type === 'armed')
  }

  /** Survives the end of this process when it returns, and a power cut when `durable` has resolved; on a full disk neither. */
  append(...entries: JournalEntry[]) {
    for (const entry of entries) apply(this.#live, entry)
    try {
      this.#size += write(this.#fd, entries)
    } catch (error) {
      return this.#refused(error)
    }
    const isLarge = entries.some(({ type }) => type === 'forgotten') && this.#isWorthRewriting()
    if (isLarge || this.#isBehind) this.#replace()
  }

  /** Resolves when all that was appended and not refused is on the disk. Those who wait at the same time share one sync. */
  durable(): Promise<void> {
    const begin = () => {
      this.#wanted = undefined
      this.#syncing = sync(this.#fd).catch(this.#complain)
      return this.#syncing
    }
    this.#wanted ??= this.#syncing.then(begin)
    return this.#wanted
  }

  #isWorthRewriting(): boolean {
    return this.#size > REWRITE_BYTES || (this.#live.size === 0 && this.#size > REWRITE_BYTES / 64)
  }

  /** The old file is closed after a sync that may still use it. */
  #replace() {
    const old = this.#fd
    try {
      this.#fd = this.#rewrite()
    } catch (error) {
      if (!this.#isBehind) this.#complain(error)
      return
    }
    void this.#syncing.then(() => closeSync(old))
  }

  #rewrite(): number {
    const fresh = `${this.#path}.new`
    const fd = openSync(fresh, O_CREAT | O_TRUNC | O_APPEND | O_WRONLY, 0o600)
    try {
      const size = write(fd, [...this.#live.values()])
      fsyncSync(fd)
      renameSync(fresh, this.#path)
      this.#size = size
      this.#isBehind = false
    } catch (error) {
      closeSync(fd)
      // Half a file only takes room.
      rmSync(fresh, { force: true })
      throw error
    }
    this.#syncFolder()
    return fd
  }

  #syncFolder() {
    try {
      const folder = openSync(dirname(this.#path), 'r')
      fsyncSync(folder)
      closeSync(folder)
    } catch (error) {
      this.#complain(error)
    }
  }

  /** Tried until the disk takes it: it may be hours until there is another line. */
  async #repair() {
    while (this.#isBehind) {
      await systemClock.sleep(REPAIR_MS)
      if (this.#isBehind) this.#replace()
    }
  }

  /** The next line must not stand behind a part of one. */
  #refused(error: unknown) {
    if (!this.#isBehind) {
      this.#complain(error)
      this.#isBehind = true
      void this.#repair()
    }
    try {
      ftruncateSync(this.#fd, this.#size)
    } catch (failure) {
      this.#complain(failure)
    }
  }
}

/** Answers how many bytes that were. */
function write(fd: number, entries: readonly JournalEntry[]): number {
  const lines = Buffer.from(entries.map(entry => `${JSON.stringify(entry)}\n`).join(''))
  for (let written = 0; written < lines.length; ) written += writeSync(fd, lines, written)
  return lines.length
}

/** `whole`: the bytes of its whole lines. */
function load(path: string): { live: Map<string, Live>; whole: number } {
  const live = new Map<string, Live>()
  let left = Buffer.alloc(0)
  try {
    left = readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  for (const line of left.toString().split('\n')) {
    const entry = parse(line)
    if (entry) apply(live, entry)
  }
  return { live, whole: left.lastIndexOf('\n') + 1 }
}

/** A line that a crash cut short is none. */
function parse(line: string): JournalEntry | undefined {
  try {
    return JSON.parse(line) as JournalEntry
  } catch {
    return undefined
  }
}

function apply(live: Map<string, Live>, entry: JournalEntry) {
  if (entry.type === 'armed' || entry.type === 'started') live.set(entry.id, entry)
  else if (entry.type === 'ended') live.set(entry.record.id, entry)
  else if (entry.type === 'forgotten') for (const id of entry.ids) live.delete(id)
}
