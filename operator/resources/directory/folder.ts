import type { Stats } from 'node:fs'
import { lstat, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { MAX_TEXT_BYTES } from '../../../core/schema/documents.ts'
import type { Clock } from '../../../platform/clock.ts'
import { messageOf } from '../../../platform/errors.ts'
import { readTextFile, type TextFile } from '../../../platform/text-file.ts'
import { distrust, resolveTrusted, type Trust } from '../../../platform/trust.ts'
import type { Problem } from '../port.ts'
import type { FileContent } from './plan.ts'
import { isUnchanged, isWithin, type Scan, scan, signatureOf } from './scan.ts'
import { Watchers } from './watchers.ts'

export interface FolderOptions {
  root: string
  /** More folders, relative to the root. They must exist. */
  also?: readonly string[]
  /** Who may own and write the files and their folders. */
  trust: Trust
  clock: Clock
  /** `before`: what the file held when it was last read. */
  parse: (file: string, text: string, before?: FileContent) => FileContent
}

/** Where watches report every change, the directory is scanned this often all the same, ms. */
export const FULL_SCAN_MS = 30_000

const NO_CONTENT: FileContent = { objects: [], problems: [] }

/**
 * The files below a directory, read when no writer is at work: a change counts once two scans in a row have seen it. So a file that is
 * empty for a moment, or missing between two renames, removes no job. The owner decides when to scan; `changed` tells it when to. While
 * watches report every change and have reported none, a scan looks only at the folders, and at files whose changes are not reported.
 */
export class Folder {
  readonly #options: FolderOptions
  readonly #watchers: Watchers
  readonly #contents = new Map<string, { signature: string; content: FileContent }>()
  #before: Scan | undefined
  /** When the last full scan began, if it found everything read and every later change is reported. */
  #completeAt: number | undefined
  /** How often a change may have happened since the start. */
  #changes = 0
  #version = 0
  #change = Promise.withResolvers<void>()

  constructor(options: FolderOptions) {
    this.#options = options
    this.#watchers = new Watchers(options.root, {
      onChange: () => {
        this.#mayHaveChanged()
        this.#change.resolve()
      },
      onLost: () => this.#mayHaveChanged(),
    })
  }

  get files(): ReadonlyMap<string, FileContent> {
    return new Map(Array.from(this.#contents, ([file, { content }]) => [file, content]))
  }

  get unreadable(): readonly Problem[] {
    return this.#before?.unreadable ?? []
  }

  /** Grows with every change of `files` or `unreadable`. */
  get version(): number {
    return this.#version
  }

  /** True if `files` equals what is on disk; otherwise scan again soon. */
  async scan(): Promise<boolean> {
    this.#change = Promise.withResolvers()
    const { root, clock } = this.#options
    const before = this.#before
    const isKnown = this.#completeAt !== undefined && clock.monotonic() < this.#completeAt + FULL_SCAN_MS
    const changes = this.#changes
    if (isKnown && before && (await isUnchanged(root, before)) && changes === this.#changes) return true
    return this.#scanAll(before)
  }

  async #scanAll(before: Scan | undefined): Promise<boolean> {
    const { root, clock } = this.#options
    const startedAt = clock.monotonic()
    const changes = this.#changes
    this.#completeAt = undefined
    const now = await scan(root, this.#options)
    this.#before = now
    if (!isDeepStrictEqual(now.unreadable, before?.unreadable)) this.#version++
    const isReported = await this.#watchers.follow(identities(now))
    const isRead = await this.#readChanged(now, before)
    const settled = this.#forgetRemoved(now, before) && isRead && before !== undefined
    if (settled && isReported && now.unreadable.length === 0 && changes === this.#changes)
      this.#completeAt = startedAt
    return settled
  }

  #mayHaveChanged(): void {
    this.#changes++
    this.#completeAt = undefined
  }

  async #readChanged(now: Scan, before: Scan | undefined): Promise<boolean> {
    let settled = true
    for (const [file, signature] of now.files) {
      if (this.#contents.get(file)?.signature === signature) continue
      if (before?.files.get(file) !== signature || !(await this.#read(file, signature))) settled = false
    }
    return settled
  }

  #forgetRemoved(now: Scan, before: Scan | undefined): boolean {
    let settled = true
    for (const file of this.#contents.keys()) {
      if (now.files.has(file) || now.unreadable.some(({ file: folder }) => isWithin(file, folder))) continue
      if (before?.files.has(file)) settled = false
      else if (this.#contents.delete(file)) this.#version++
    }
    return settled
  }

  /** Resolves when a file has changed since the last scan began, or after `ms`. */
  async changed(ms: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const sleep = this.#options.clock.sleep(ms, AbortSignal.any([signal, over.signal]))
    await Promise.race([this.#change.promise, sleep.catch(() => undefined)])
    over.abort()
  }

  close(): void {
    this.#watchers.close()
  }

  async #read(file: string, signature: string): Promise<boolean> {
    const path = join(this.#options.root, file)
    try {
      const found = await readTrusted(path, this.#options.trust)
      const before = this.#contents.get(file)?.content
      const content =
        found.kind === 'text' ? this.#options.parse(file, found.text, before) : failed(file, found.why)
      if (signatureOf(await stat(path)) !== signature) return false
      this.#set(file, signature, content)
    } catch (error) {
      this.#set(file, signature, failed(file, `cannot be read: ${messageOf(error)}`))
    }
    return true
  }

  #set(file: string, signature: string, content: FileContent): void {
    this.#contents.set(file, { signature, content })
    this.#version++
  }
}

/** What distinguishes a folder from another one that takes its name. */
function identities({ folders }: Scan): Map<string, string> {
  return new Map(Array.from(folders, ([folder, { dev, ino }]) => [folder, `${dev} ${ino}`]))
}

async function readTrusted(path: string, trust: Trust): Promise<TextFile> {
  const judge = async (stats: Stats) => {
    const why = await distrustOfFile(path, stats, trust)
    return why === undefined ? undefined : `is not used: ${why}`
  }
  return readTextFile(path, { maxBytes: MAX_TEXT_BYTES, judge })
}

/** The folders of the path have been judged. A symbolic link may lead through others. */
async function distrustOfFile(path: string, stats: Stats, trust: Trust): Promise<string | undefined> {
  if (!(await lstat(path)).isSymbolicLink()) return distrust(path, stats, { trust })
  const resolved = await resolveTrusted(path, { trust })
  return resolved.kind === 'distrusted' ? resolved.why : undefined
}

function failed(file: string, message: string): FileContent {
  return { ...NO_CONTENT, problems: [{ file, message }] }
}
