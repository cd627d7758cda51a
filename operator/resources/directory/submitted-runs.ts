import { link, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { API_VERSION } from '../../../core/schema/objects.ts'
import type { RunManifest } from '../port.ts'

/** ShellRuns that were submitted over the operator's socket. Each becomes a file, so that it is treated like one in the directory. */
export interface SubmittedRuns {
  open(): Promise<void>
  fileOf(of: { namespace: string; name: string }): string
  /** False if the file exists already. A file appears whole or not at all. */
  write(manifest: RunManifest): Promise<boolean>
}

export function createSubmittedRuns(folder: string): SubmittedRuns {
  // Neither name has a dot.
  const fileOf = ({ namespace, name }: { namespace: string; name: string }) =>
    join(folder, `${namespace}.${name}.yaml`)
  return {
    open: async () => void (await mkdir(folder, { recursive: true, mode: 0o700 })),
    fileOf,
    async write(manifest) {
      const { spec, ...metadata } = manifest
      const whole = join(folder, `.${metadata.namespace}.${metadata.name}.${process.pid}`)
      const text = stringify({ apiVersion: API_VERSION, kind: 'ShellRun', metadata, spec })
      await writeFile(whole, text, { mode: 0o600, flush: true })
      try {
        await link(whole, fileOf(manifest))
        return true
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
        throw error
      } finally {
        await rm(whole)
      }
    },
  }
}
