import { readdir, rm, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import { type Line, type Loss, type LossFile, lineOf, lossFile, newOf } from './loss-file.ts'

/**
 * Output that had to go before it was stored, until the operator has been told: on the disk before the spool goes. It may be millions of
 * runs, where the operator is away for long.
 *
 *   losses, losses.1, losses.2 …: so many in each, the oldest first
 *   └─ in memory, told next ─┘
 *
 * Where the disk is full the spool goes all the same, as nothing else would make room: so many are in memory alone until there is some.
 */
export interface Losses {
  /** Whether there may be others to be told now than these. */
  isAny(but: ReadonlySet<Loss>): boolean
  /** Of those that are in memory. Another one may be brought and told: what comes second changes nothing. */
  has(launch: string): boolean
  /** The oldest ones, but for these. */
  first(count: number, but: ReadonlySet<Loss>): Promise<Loss[]>
  /** Kept when it resolves, on the disk unless that is full, but for those at the end that there is no room for: answers how many are. */
  add(losses: readonly Loss[]): Promise<number>
  /** Tries again what the disk had no room for. */
  writeLate(): Promise<void>
  /** The operator has taken them. */
  told(launches: readonly string[]): Promise<void>
}

export interface LossesOptions {
  /** The first file. */
  path: string
  /** On the disk. */
  mostBytes: number
  log: Log
}

/** About so many: a file is written anew when some of it have been told. */
const OF_A_FILE = 10_000
const IN_MEMORY = 50_000
const MOST_UNWRITTEN = OF_A_FILE
const FULL = new Set(['ENOSPC', 'EDQUOT'])
/** Too much is open on the machine, for a moment. */
const PASSING = new Set(['EMFILE', 'ENFILE', 'ENOMEM'])

export async function openLosses(options: LossesOptions): Promise<Losses> {
  const { path, mostBytes, log } = options
  const numbers = await numbersAt(path)
  for (const number of numbers) await rm(newOf(pathOf(path, number)), { force: true })
  let files = await Promise.all(numbers.map(number => fileAt(path, number)))
  let next = (numbers.at(-1) ?? -1) + 1
  /** The end of a file may be torn, by a crash or a full disk: nothing is put behind it. */
  let growing: LossFile | undefined
  /** By launch: what the disk had no room for. */
  const unwritten = new Map<string, Line>()
  const inMemory = () => files.reduce((sum, { known }) => sum + (known?.size ?? 0), unwritten.size)
  const bytes = () => files.reduce((sum, file) => sum + file.bytes, 0)
  const readOn = async () => {
    const file = files.find(each => !each.known)
    if (!file || inMemory() >= IN_MEMORY) return false
    try {
      await file.read()
    } catch (error) {
      if (PASSING.has(codeOf(error))) return false
      files = files.filter(each => each !== file)
      log.error({ file: file.path, error: messageOf(error) }, 'output.lossesUnreadable')
    }
    return true
  }
  const append = async (lines: readonly Line[]) => {
    const isKnown = inMemory() < IN_MEMORY && files.every(each => each.known)
    const file = growing ?? lossFile(pathOf(path, next++), { bytes: 0, isKnown })
    growing = undefined
    try {
      const added = await file.append(lines)
      if (!files.includes(file)) files.push(file)
      if (added < OF_A_FILE) growing = file
    } catch (error) {
      if (!files.includes(file)) await rm(file.path, { force: true }).catch(() => undefined)
      throw error
    }
  }
  const isWritten = async (lines: readonly Line[]) => {
    try {
      await append(lines)
      return true
    } catch (error) {
      if (FULL.has(codeOf(error))) return false
      throw error
    }
  }
  let last: Promise<unknown> = Promise.resolve()
  /** One after the other: two changes at once would undo one another. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work, work)
    last = done.catch(() => undefined)
    return done
  }
  while (await readOn());
  return {
    isAny: but => inMemory() > but.size || (inMemory() < IN_MEMORY && files.some(each => !each.known)),
    has: launch => unwritten.has(launch) || files.some(({ known }) => known?.has(launch)),
    first: (count, but) =>
      inTurn(async () => {
        for (;;) {
          const found = firstIn(files, count, but)
          if (found.length === count) return found
          if (await readOn()) continue
          const late = [...unwritten.values()].map(({ loss }) => loss).filter(loss => !but.has(loss))
          return [...found, ...late.slice(0, count - found.length)]
        }
      }),
    add: losses =>
      inTurn(async () => {
        const lines = fitting(losses, mostBytes - bytes())
        if (lines.length === 0) return 0
        if (unwritten.size === 0 && (await isWritten(lines))) return lines.length
        const late = lines.slice(0, MOST_UNWRITTEN - unwritten.size)
        for (const line of late) unwritten.set(line.loss.launch, line)
        return late.length
      }),
    writeLate: () =>
      inTurn(async () => {
        if (unwritten.size > 0 && (await isWritten([...unwritten.values()]))) unwritten.clear()
      }),
    told: launches =>
      inTurn(async () => {
        for (const launch of launches) unwritten.delete(launch)
        for (const file of files) await file.remove(launches)
        files = files.filter(({ known }) => known?.size !== 0)
        if (growing && !files.includes(growing)) growing = undefined
      }),
  }
}

function firstIn(files: readonly LossFile[], count: number, but: ReadonlySet<Loss>): Loss[] {
  const first: Loss[] = []
  for (const { known } of files)
    for (const each of known?.values() ?? []) if (!but.has(each) && first.push(each) === count) return first
  return first
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code ?? ''

/** The first ones, in so many bytes. */
function fitting(losses: readonly Loss[], room: number): Line[] {
  const lines: Line[] = []
  let left = room
  for (const line of losses.map(lineOf)) {
    left -= Buffer.byteLength(line.text)
    if (left < 0) break
    lines.push(line)
  }
  return lines
}

/** The oldest first; 0 is `path` itself. */
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

async function fileAt(path: string, number: number): Promise<LossFile> {
  const { size } = await stat(pathOf(path, number))
  return lossFile(pathOf(path, number), { bytes: size, isKnown: false })
}

function pathOf(path: string, number: number): string {
  return number === 0 ? path : `${path}.${number}`
}
