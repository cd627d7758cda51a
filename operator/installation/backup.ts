import { createHash } from 'node:crypto'
import { open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../platform/clock.ts'
import { Unavailable } from '../../platform/errors.ts'
import { createLog } from '../../platform/log.ts'
import { connectEtcd } from '../../store/etcd/client.ts'
import { readTls } from '../startup/open.ts'

/** Settings of `shellcron installation backup`, named like its flags. */
interface BackupSettings {
  endpoints: string[]
  identity: string
  to: string
  /** How many snapshots stay. */
  keep: number
  /** Seconds. */
  within: number
}

const OURS = /^etcd-\d{8}T\d{6}Z\.db$/
const PART = /^etcd-\d{8}T\d{6}Z\.db\.part$/
const SHA256_BYTES = 32

/** Saves a snapshot of etcd, in a file that `etcdutl snapshot restore` takes. Then deletes the oldest beyond `keep`. */
export async function backup({ endpoints, identity, to, keep, within }: BackupSettings): Promise<void> {
  const log = createLog('warn', { part: 'backup' })
  const etcd = connectEtcd({ endpoints, tls: await readTls(identity), log })
  try {
    const name = nameAt(systemClock.now())
    const bytes = await save(etcd.snapshot(AbortSignal.timeout(within * 1_000)), to, name)
    process.stdout.write(`${join(to, name)}: ${bytes} bytes\n`)
    for (const old of await prune(to, keep)) process.stdout.write(`${join(to, old)}: deleted\n`)
  } finally {
    await etcd.close()
  }
}

function nameAt(now: number): string {
  return `etcd-${new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, '')}.db`
}

/** The file has its name only when it is whole and on disk. Resolves to its size. */
async function save(pieces: AsyncIterable<Buffer>, dir: string, name: string): Promise<number> {
  const part = join(dir, `${name}.part`)
  const file = await open(part, 'w', 0o600)
  const hash = createHash('sha256')
  let bytes = 0
  /** The end so far: the snapshot's own hash comes last. */
  let end = Buffer.alloc(0)
  try {
    for await (const piece of pieces) {
      await file.writeFile(piece)
      bytes += piece.length
      const all = Buffer.concat([end, piece])
      const split = Math.max(0, all.length - SHA256_BYTES)
      hash.update(all.subarray(0, split))
      end = Buffer.from(all.subarray(split))
    }
    if (!hash.digest().equals(end))
      throw new Unavailable('the snapshot was damaged on its way: its SHA-256 differs')
    await file.sync()
  } catch (error) {
    await rm(part, { force: true })
    throw error
  } finally {
    await file.close()
  }
  await rename(part, join(dir, name))
  return bytes
}

/** Answers the files that it has deleted. Also deletes what a backup that was killed has left. */
async function prune(dir: string, keep: number): Promise<string[]> {
  const all = await readdir(dir)
  const old = all
    .filter(name => OURS.test(name))
    .toSorted()
    .slice(0, -keep)
  const gone = [...old, ...all.filter(name => PART.test(name))]
  for (const name of gone) await rm(join(dir, name), { force: true })
  return gone
}
