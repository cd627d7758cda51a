import { readdir, rm, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import { type Loss, type LossFile, type LossLine, lossFile, temporaryOf } from './loss-file.ts'

/**
 * Losses on disk, in numbered files. The oldest files are in memory.
 *
 *   losses, losses.1, losses.2 …   about 10,000 losses in each file, the oldest first
 *   └──── in memory ────┘
 *
 * Its calls must not overlap.
 */
export interface LossJournal {
  /** Size of all files. */
  readonly bytes: number
  /** Losses in memory. */
  readonly loaded: number
  /** Whether a file is not in memory yet and the memory limit allows loading it. */
  readonly canLoad: boolean
  /** Looks in memory only. */
  has(launch: string): boolean
  /** The oldest losses in memory, without `except`. */
  first(count: number, except: ReadonlySet<Loss>): Loss[]
  /** Returns false if nothing can be loaded now. */
  loadNext(): Promise<boolean>
  /** Appends all lines or none. */
  append(lines: readonly LossLine[]): Promise<void>
  /** Removes losses that are in memory. */
  remove(launches: readonly string[]): Promise<void>
}

export interface LossJournalOptions {
  /** The first file. */
  path: string
  /** How many losses may be in memory now. The last file loaded may exceed it. */
  memoryLimit(): number
  log: Log
}

/** A file is rewritten whenever some of its losses are removed, so files stay small. */
export const LOSSES_PER_FILE = 10_000
/** The machine is short of descriptors or memory for a moment: the file itself is intact. */
const TRANSIENT = new Set(['EMFILE', 'ENFILE', 'ENOMEM'])

export async function openLossJournal(options: LossJournalOptions): Promise<LossJournal> {
  const { path } = options
  const numbers = await numbersAt(path)
  for (const number of numbers) await rm(temporaryOf(pathOf(path, number)), { force: true })
  const files = await Promise.all(numbers.map(number => existingFile(pathOf(path, number))))
  const journal = new NumberedFiles(options, files, (numbers.at(-1) ?? -1) + 1)
  while (await journal.loadNext());
  return journal
}

class NumberedFiles implements LossJournal {
  readonly #options: LossJournalOptions
  #files: LossFile[]
  #nextNumber: number
  /** The file to append to. Only a file of this process: a crash or a full disk can leave a file's last line incomplete. */
  #appendable: LossFile | undefined

  constructor(options: LossJournalOptions, files: LossFile[], nextNumber: number) {
    this.#options = options
    this.#files = files
    this.#nextNumber = nextNumber
  }

  get bytes() {
    return this.#files.reduce((sum, file) => sum + file.bytes, 0)
  }

  get loaded() {
    return this.#files.reduce((sum, { losses }) => sum + (losses?.size ?? 0), 0)
  }

  get canLoad() {
    return this.#hasMemory() && this.#nextToLoad() !== undefined
  }

  has(launch: string) {
    return this.#files.some(({ losses }) => losses?.has(launch))
  }

  first(count: number, except: ReadonlySet<Loss>) {
    const first: Loss[] = []
    for (const { losses } of this.#files)
      for (const each of losses?.values() ?? [])
        if (!except.has(each) && first.push(each) === count) return first
    return first
  }

  async loadNext() {
    const file = this.#nextToLoad()
    if (!file || !this.#hasMemory()) return false
    try {
      await file.load()
    } catch (error) {
      if (TRANSIENT.has((error as NodeJS.ErrnoException).code ?? '')) return false
      this.#files = this.#files.filter(each => each !== file)
      this.#options.log.error({ file: file.path, error: messageOf(error) }, 'output.lossesUnreadable')
    }
    return true
  }

  async append(lines: readonly LossLine[]) {
    const file = this.#appendable ?? this.#newFile()
    this.#appendable = undefined
    try {
      const appended = await file.append(lines)
      if (!this.#files.includes(file)) this.#files.push(file)
      if (appended < LOSSES_PER_FILE) this.#appendable = file
    } catch (error) {
      if (!this.#files.includes(file)) await rm(file.path, { force: true }).catch(() => undefined)
      throw error
    }
  }

  async remove(launches: readonly string[]) {
    for (const file of this.#files) await file.remove(launches)
    this.#files = this.#files.filter(({ losses }) => losses?.size !== 0)
    if (this.#appendable && !this.#files.includes(this.#appendable)) this.#appendable = undefined
  }

  /** It is kept in memory only if all files before it are: the oldest losses are reported first. */
  #newFile(): LossFile {
    const isLoaded = this.#hasMemory() && this.#nextToLoad() === undefined
    return lossFile(pathOf(this.#options.path, this.#nextNumber++), { bytes: 0, isLoaded })
  }

  #nextToLoad() {
    return this.#files.find(({ losses }) => !losses)
  }

  #hasMemory() {
    return this.loaded < this.#options.memoryLimit()
  }
}

/** The numbers of the files, the oldest first. 0 is `path` itself. */
async function numbersAt(path: string): Promise<number[]> {
  const names = await readdir(dirname(path)).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const numbers = names.flatMap(name => {
    const number = Number(/\.(\d{1,15})$/.exec(name)?.[1] ?? 0)
    return name === basename(pathOf(path, number)) ? [number] : []
  })
  return numbers.toSorted((a, b) => a - b)
}

async function existingFile(path: string): Promise<LossFile> {
  const { size } = await stat(path)
  return lossFile(path, { bytes: size, isLoaded: false })
}

function pathOf(path: string, number: number): string {
  return number === 0 ? path : `${path}.${number}`
}
