import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import * as z from 'zod'

/**
 * Output that had to go before it was stored, until the operator has been told: a line each in a file of the state directory, on the disk
 * before the spool goes.
 */
const loss = z.object({
  launch: z.string(),
  uid: z.string(),
  run: z.string(),
  attempt: z.number(),
  namespace: z.string(),
  name: z.string(),
  /** Bytes of stdout and stderr that the spool held, stored or not. */
  total: z.number(),
  /** What the launcher had cut before. */
  cut: z.object({ stdout: z.number(), stderr: z.number(), error: z.string().optional() }).optional(),
  /** When the run ended, Unix ms. */
  at: z.number(),
})
export type Loss = z.infer<typeof loss>

export interface Losses {
  readonly size: number
  has(launch: string): boolean
  /** The oldest ones, but for these. */
  first(count: number, but: ReadonlySet<Loss>): Loss[]
  /** On the disk when it resolves. Beyond so many they are not kept: answers how many were. */
  add(losses: readonly Loss[]): Promise<number>
  /** The operator has taken them. */
  told(launches: readonly string[]): Promise<void>
}

/** More are not remembered one by one: the file stays small whatever happens. */
const MOST = 50_000

export async function openLosses(path: string): Promise<Losses> {
  const known = new Map((await linesOf(path)).map(each => [each.launch, each]))
  const rewrite = async () => {
    if (known.size === 0) return rm(path, { force: true })
    await writeFile(`${path}.new`, [...known.values()].map(lineOf).join(''), { mode: 0o600, flush: true })
    await rename(`${path}.new`, path)
  }
  let last: Promise<unknown> = Promise.resolve()
  /** One after the other: two changes at once would undo one another. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work, work)
    last = done.catch(() => undefined)
    return done
  }
  return {
    get size() {
      return known.size
    },
    has: launch => known.has(launch),
    first: (count, but) => [...known.values()].filter(each => !but.has(each)).slice(0, count),
    add: losses =>
      inTurn(async () => {
        const more = losses.slice(0, Math.max(0, MOST - known.size))
        await append(path, more.map(lineOf).join(''))
        for (const each of more) known.set(each.launch, each)
        return more.length
      }),
    told: launches =>
      inTurn(async () => {
        for (const launch of launches) known.delete(launch)
        await rewrite()
      }),
  }
}

async function append(path: string, text: string): Promise<void> {
  const file = await open(path, 'a', 0o600)
  try {
    await file.write(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** What a crash left of a last line is none. */
async function linesOf(path: string): Promise<Loss[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  return text.split('\n').flatMap(line => {
    try {
      return [loss.parse(JSON.parse(line))]
    } catch {
      return []
    }
  })
}

function lineOf(of: Loss): string {
  return `${JSON.stringify(of)}\n`
}
