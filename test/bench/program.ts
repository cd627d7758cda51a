import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Child, startChild } from '../../platform/child-process.ts'
import type { EtcdCluster } from '../servers/etcd.ts'

const checkout = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Starts a part of ShellCron as a process, as users do. Its warnings are printed. Its pid is that of Node. `root`: a checkout, or a folder of a
 * release.
 */
export function startPart(args: string[], etcd: EtcdCluster, root = checkout): Promise<Child> {
  const common = ['--endpoints', etcd.endpoints.join(','), '--log-level', process.env.BENCH_LOG ?? 'error']
  return startChild({
    command: join(root, 'bin/shellcron'),
    args: [...args, ...common],
    onLine: line => void process.stderr.write(`${line}\n`),
  })
}

/** The test etcd's client certificate, as files of an identity directory. */
export async function writeTls(dir: string, { tls }: EtcdCluster): Promise<void> {
  await mkdir(dir, { recursive: true })
  const files = { 'ca.crt': tls.ca, 'tls.crt': tls.cert, 'tls.key': tls.key }
  for (const [file, pem] of Object.entries(files)) await writeFile(join(dir, file), pem)
}
