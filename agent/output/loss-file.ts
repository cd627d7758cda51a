import { appendFile, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import * as z from 'zod'

/** Output that was dropped before it was stored. */
const loss = z.object({
  launch: z.string(),
  uid: z.string(),
  run: z.string(),
  attempt: z.number(),
  namespace: z.string(),
  name: z.string(),
  /** Bytes of stdout and stderr that the spool held, whether stored or not. */
  total: z.number(),
  /** Bytes that the launcher had already cut, and why if its disk rejected them. */
  cut: z.object({ stdout: z.number(), stderr: z.number(), error: z.string().optional() }).optional(),
  /** When the run ended, Unix ms. */
  at: z.number(),
})
export type Loss = z.infer<typeof loss>

/** A file of losses, one JSON line each. */
export interface LossFile {
  readonly path: string
  readonly bytes: number
  /** By launch. undefined until the file is loaded. */
  readonly losses: ReadonlyMap<string, Loss> | undefined
  load(): Promise<void>
  /** Appends and syncs all lines, or none. Returns how many lines were appended since the file was opened. */
  append(lines: readonly LossLine[]): Promise<number>
  /** Does nothing if the file is not loaded. Deletes the file with its last loss. */
  remove(launches: readonly string[]): Promise<void>
}

/** A loss with its line in the file. */
export interface LossLine {
  loss: Loss
  text: string
}

export function lineOf(of: Loss): LossLine {
  return { loss: of, text: `${JSON.stringify(of)}\n` }
}

/** `bytes`: the present size of the file. `isLoaded`: the file is new, so there is nothing to load. */
export function lossFile(path: string, initial: { bytes: number; isLoaded: boolean }): LossFile {
  let { bytes } = initial
  let losses = initial.isLoaded ? new Map<string, Loss>() : undefined
  let appended = 0
  return {
    path,
    get bytes() {
      return bytes
    },
    get losses() {
      return losses
    },
    async load() {
      losses ??= new Map((await lossesIn(path)).map(each => [each.launch, each]))
    },
    async append(lines) {
      const text = lines.map(line => line.text).join('')
      try {
        await appendFile(path, text, { mode: 0o600, flush: true })
      } catch (error) {
        // Remove the lines that were written: their output is still in the spool, so it must not be reported as lost.
        await truncate(path, bytes).catch(() => undefined)
        throw error
      }
      bytes += Buffer.byteLength(text)
      appended += lines.length
      for (const line of lines) losses?.set(line.loss.launch, line.loss)
      return appended
    },
    async remove(launches) {
      const isChanged = launches.filter(launch => losses?.delete(launch)).length > 0
      if (!losses || (!isChanged && losses.size > 0)) return
      const text = [...losses.values()].map(each => lineOf(each).text).join('')
      if (text === '') await rm(path, { force: true })
      else await replace(path, text)
      bytes = Buffer.byteLength(text)
    },
  }
}

/** The temporary file while `path` is rewritten. One that a crash left behind can be deleted. */
export const temporaryOf = (path: string) => `${path}.new`

async function replace(path: string, text: string): Promise<void> {
  try {
    await writeFile(temporaryOf(path), text, { mode: 0o600, flush: true })
    await rename(temporaryOf(path), path)
  } catch (error) {
    // A partial file only takes disk space.
    await rm(temporaryOf(path), { force: true }).catch(() => undefined)
    throw error
  }
}

/** Ignores lines that cannot be parsed: a crash can leave the last line incomplete. */
async function lossesIn(path: string): Promise<Loss[]> {
  return (await readFile(path, 'utf8')).split('\n').flatMap(line => {
    try {
      return [loss.parse(JSON.parse(line))]
    } catch {
      return []
    }
  })
}
