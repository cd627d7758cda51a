import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type EtcdServer, type EtcdServerOptions, startEtcdServer, type TlsFiles } from './etcd-server.ts'

/**
 * A single member keeps no past writes for others, and collects garbage earlier. They are variables, because an etcd that does not know one
 * of them starts all the same.
 */
const SMALL = { ETCD_SNAPSHOT_COUNT: '1000', ETCD_SNAPSHOT_CATCHUP_ENTRIES: '100', GOGC: '50' }

/** Starts an etcd of one member that uses little memory. Variables of `env` win. */
export function startEtcd({
  env,
  ...options
}: EtcdServerOptions & { env: NodeJS.ProcessEnv }): Promise<EtcdServer> {
  return startEtcdServer({ ...options, env: { ...SMALL, ...env } })
}

/** Writes the certificates to files, as etcd reads them. */
export async function asFiles(dir: string, tls: TlsFiles): Promise<TlsFiles> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const files = { ca: join(dir, 'ca.crt'), cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key') }
  for (const part of ['ca', 'cert', 'key'] as const) await writeFile(files[part], tls[part], { mode: 0o600 })
  return files
}
