import { chmod, link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Stores the operator's private keys, in files or in a Secret. Names have letters, digits, dots and dashes. */
export interface KeyStore {
  read(name: string): Promise<string | undefined>
  /** Stores `text` under `name` unless there is a text already. Returns the stored text. */
  keep(name: string, text: string): Promise<string>
  /** Stores `text`, in place of any other. */
  replace(name: string, text: string): Promise<void>
}

/** Where a standalone operator keeps its keys. */
export function keysDir(stateDir: string): string {
  return join(stateDir, 'keys')
}

/** Files of mode 0600 in a directory of mode 0700. A file appears whole or not at all, even if the operator is killed while it writes. */
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
  const writeTemporary = async (name: string, text: string): Promise<string> => {
    const path = join(dir, `.${name}.${process.pid}`)
    await writeFile(path, text, { mode: 0o600, flush: true })
    return path
  }
  return {
    read,
    async keep(name, text) {
      const path = await writeTemporary(name, text)
      try {
        // Unlike a rename, a link does not replace a file that another process has created meanwhile.
        await link(path, join(dir, name))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      } finally {
        await unlink(path)
      }
      return (await read(name)) ?? text
    },
    async replace(name, text) {
      await rename(await writeTemporary(name, text), join(dir, name))
    },
  }
}
