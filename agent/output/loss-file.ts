import { appendFile, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import * as z from 'zod'

/** Output that had to go before it was stored. */
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

/** Losses in a file, a line each. */
export interface LossFile {
  readonly path: string
  readonly bytes: number
  /** By launch; undefined: it was not read yet. */
  readonly known: ReadonlyMap<string, Loss> | undefined
  read(): Promise<void>
  /** On the disk when it resolves, all or none. Answers how many lines were added since it was opened. */
  append(lines: readonly Line[]): Promise<number>
  /** Of a file that was read. With the last one it goes. */
  remove(launches: readonly string[]): Promise<void>
}

/** A loss as it lies in a file. */
export interface Line {
  loss: Loss
  text: string
}

export function lineOf(of: Loss): Line {
  return { loss: of, text: `${JSON.stringify(of)}\n` }
}

/** `bytes`: it has so many; one without any is known as it is. */
export function lossFile(path: string, had: { bytes: number; isKnown: boolean }): LossFile {
  let { bytes } = had
  let known = had.isKnown ? new Map<string, Loss>() : undefined
  let added = 0
  return {
    path,
    get bytes() {
      return bytes
    },
    get known() {
      return known
    },
    async read() {
      known ??= new Map((await lossesIn(path)).map(each => [each.launch, each]))
    },
    async append(lines) {
      const text = lines.map(line => line.text).join('')
      try {
        await appendFile(path, text, { mode: 0o600, flush: true })
      } catch (error) {
        // A part of them would be told as lost, and is still there.
        await truncate(path, bytes).catch(() => undefined)
        throw error
      }
      bytes += Buffer.byteLength(text)
      added += lines.length
      for (const line of lines) known?.set(line.loss.launch, line.loss)
      return added
    },
    async remove(launches) {
      const isChanged = launches.filter(launch => known?.delete(launch)).length > 0
      if (!known || (!isChanged && known.size > 0)) return
      const text = [...known.values()].map(each => lineOf(each).text).join('')
      if (text === '') await rm(path, { force: true })
      else {
        await replace(path, text)
      }
      bytes = Buffer.byteLength(text)
    },
  }
}

/** While it is written; what a crash left of it is nothing. */
export const newOf = (path: string) => `${path}.new`

async function replace(path: string, text: string): Promise<void> {
  try {
    await writeFile(newOf(path), text, { mode: 0o600, flush: true })
    await rename(newOf(path), path)
  } catch (error) {
    // Half a file only takes room.
    await rm(newOf(path), { force: true }).catch(() => undefined)
    throw error
  }
}

/** What a crash left of a last line is none. */
async function lossesIn(path: string): Promise<Loss[]> {
  return (await readFile(path, 'utf8')).split('\n').flatMap(line => {
    try {
      return [loss.parse(JSON.parse(line))]
    } catch {
      return []
    }
  })
}
