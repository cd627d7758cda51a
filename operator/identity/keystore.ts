import { chmod, link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Where the operator's private keys lie: files, or a Secret. Names are file names: letters, digits, dots, dashes. */
export interface KeyStore {
  read(name: string): Promise<string | undefined>
  /** Keeps `text` under `name` unless something stands there already; answers what stands there then. */
  keep(name: string, text: string): Promise<string>
  /** Puts `text` in the place of what stands there. */
  replace(name: string, text: string): Promise<void>
}

/** Where a standalone operator keeps its keys. */
export function keysDir(stateDir: string): string {
  return join(stateDir, 'keys')
}

/** Files 0600 in a directory 0700. A file appears whole or not at all, also when the operator is killed while it writes. */
export async function fileKeyStore(dir: string): Promise<KeyStore> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await chmod(dir, 0o700)
  const read = async (name: string): Promise<string | undefined> => {
    try {
      return await readFile(join(dir, name), 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }
  const written = async (name: string, text: string): Promise<string> => {
    const path = join(dir, `.${name}.${process.pid}`)
    await writeFile(path, text, { mode: 0o600, flush: true })
    return path
  }
  return {
    read,
    async keep(name, text) {
      const path = await written(name, text)
      try {
        // Unlike a rename, a link does not replace what another one has kept meanwhile.
        await link(path, join(dir, name))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      } finally {
        await unlink(path)
      }
      return (await read(name)) ?? text
    },
    async replace(name, text) {
      await rename(await written(name, text), join(dir, name))
    },
  }
}
