import { closeSync, fdatasync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { ExitRecord } from './protocol.ts'

/**
 * What must survive the launcher, one JSON line each, appended: which process a run is (to find it again), how it ended, and
 * that the agent has taken that over. The file is rewritten with what still counts when it has grown.
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
const sync = promisify(fdatasync)

export class Journal {
  readonly #path: string
  readonly #live: Map<string, Live>
  #fd: number
  #size = 0
  #wanted: Promise<void> | undefined
  #syncing: Promise<void> = Promise.resolve()

  constructor(path: string) {
    this.#path = path
    this.#live = load(path)
    this.#fd = this.#rewrite()
  }

  /** What the launcher before this one left: started without an end, or ended and not forgotten. */
  get entries(): (StartedEntry | EndedEntry)[] {
    return [...this.#live.values()].filter(entry => entry.type !== 'armed')
  }

  /** What it was about to start, or may have. */
  get armed(): ArmedEntry[] {
    return [...this.#live.values()].filter(entry => entry.type === 'armed')
  }

  /** Survives the end of this process when it returns, and a power cut when `durable` has resolved. */
  append(...entries: JournalEntry[]) {
    for (const entry of entries) apply(this.#live, entry)
    const lines = Buffer.from(entries.map(entry => `${JSON.stringify(entry)}\n`).join(''))
    for (let written = 0; written < lines.length; ) written += writeSync(this.#fd, lines, written)
    this.#size += lines.length
    if (entries.some(({ type }) => type === 'forgotten') && this.#isWorthRewriting()) this.#replace()
  }

  /** Resolves when all that was appended is on the disk. Those who wait at the same time share one sync. */
  durable(): Promise<void> {
    const begin = () => {
      this.#wanted = undefined
      this.#syncing = sync(this.#fd)
      return this.#syncing
    }
    this.#wanted ??= this.#syncing.then(begin, begin)
    return this.#wanted
  }

  #isWorthRewriting(): boolean {
    return this.#size > REWRITE_BYTES || (this.#live.size === 0 && this.#size > REWRITE_BYTES / 64)
  }

  /** The old file is closed after a sync that may still use it. */
  #replace() {
    const old = this.#fd
    this.#fd = this.#rewrite()
    void this.#syncing.then(
      () => closeSync(old),
      () => closeSync(old),
    )
  }

  #rewrite(): number {
    const fresh = `${this.#path}.new`
    const fd = openSync(fresh, 'w', 0o600)
    const bytes = Buffer.from([...this.#live.values()].map(entry => `${JSON.stringify(entry)}\n`).join(''))
    for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written)
    fsyncSync(fd)
    renameSync(fresh, this.#path)
    const folder = openSync(dirname(join(this.#path)), 'r')
    fsyncSync(folder)
    closeSync(folder)
    this.#size = bytes.length
    return fd
  }
}

function load(path: string): Map<string, Live> {
  const live = new Map<string, Live>()
  let lines: string[] = []
  try {
    lines = readFileSync(path, 'utf8').split('\n')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  for (const line of lines) {
    const entry = parse(line)
    if (entry) apply(live, entry)
  }
  return live
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
