import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Child, startChild } from '../../runtime/child.ts'
import type { EtcdCluster } from '../controlplane/etcd.ts'

const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))

/** A part of ShellCron as a process of its own; what it warns of is shown. Its pid is Node's own, as it is started without a shell. */
export function startPart(args: string[], etcd: EtcdCluster): Promise<Child> {
  const common = ['--endpoints', etcd.endpoints.join(','), '--log-level', process.env.BENCH_LOG ?? 'error']
  return startChild({
    command: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', main, ...args, ...common],
    onLine: line => void process.stderr.write(`${line}\n`),
  })
}

/** The client of an etcd of the tests, as an identity directory holds it. */
export async function writeTls(dir: string, { tls }: EtcdCluster): Promise<void> {
  await mkdir(dir, { recursive: true })
  const files = { 'ca.crt': tls.ca, 'tls.crt': tls.cert, 'tls.key': tls.key }
  for (const [file, pem] of Object.entries(files)) await writeFile(join(dir, file), pem)
}
