import { type FSWatcher, type Stats, watch } from 'node:fs'
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
import { isWithin, type Scan, scan, signatureOf } from './scan.ts'

export interface FolderOptions {
  root: string
  /** More folders, relative to the root. They must exist. */
  also?: readonly string[]
  /** Who may own and write the files and their folders. */
  trust: Trust
  clock: Clock
  parse: (file: string, text: string) => FileContent
}

const NO_CONTENT: FileContent = { objects: [], problems: [] }

/**
 * The files below a directory, read when no writer is at work: a change counts once two scans in a row have seen it. So a file that is
 * empty for a moment, or missing between two renames, removes no job. The owner decides when to scan; `changed` tells it when to.
 */
export class Folder {
  readonly #options: FolderOptions
  readonly #watchers = new Map<string, FSWatcher>()
  readonly #contents = new Map<string, { signature: string; content: FileContent }>()
  #before: Scan | undefined
  #version = 0
  #change = Promise.withResolvers<void>()

  constructor(options: FolderOptions) {
    this.#options = options
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
    const now = await scan(this.#options.root, this.#options)
    const before = this.#before
    this.#before = now
    if (!isDeepStrictEqual(now.unreadable, before?.unreadable)) this.#version++
    this.#watch(now.folders)
    const isRead = await this.#readChanged(now, before)
    return this.#forgetRemoved(now, before) && isRead && before !== undefined
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
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  async #read(file: string, signature: string): Promise<boolean> {
    const path = join(this.#options.root, file)
    try {
      const found = await readTrusted(path, this.#options.trust)
      const content = found.kind === 'text' ? this.#options.parse(file, found.text) : failed(file, found.why)
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

  /** Watching only saves time. Where it fails (a limit, a network file system), the next scan finds the change. */
  #watch(folders: readonly string[]): void {
    const wanted = new Set(folders)
    for (const [folder, watcher] of this.#watchers) {
      if (wanted.has(folder)) continue
      watcher.close()
      this.#watchers.delete(folder)
    }
    for (const folder of wanted) {
      if (this.#watchers.has(folder)) continue
      try {
        const watcher = watch(join(this.#options.root, folder), () => this.#change.resolve())
        watcher.on('error', () => {
          watcher.close()
          this.#watchers.delete(folder)
        })
        this.#watchers.set(folder, watcher)
      } catch {
        this.#watchers.delete(folder)
      }
    }
  }
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
