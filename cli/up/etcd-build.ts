import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { makeOnce } from '../../platform/make-once.ts'
import type { Machine } from './config.ts'

/** The version in scripts/etcd/go.mod. */
export const ETCD_VERSION = '3.6.16'

/** The Go package of each program. */
const PACKAGES: Record<string, string> = {
  etcd: 'go.etcd.io/etcd/server/v3',
  etcdctl: 'go.etcd.io/etcd/etcdctl/v3',
  etcdutl: 'go.etcd.io/etcd/etcdutl/v3',
}

const run = promisify(execFile)
const MODULE = fileURLToPath(new URL('../../scripts/etcd', import.meta.url))

export function etcdCache(machine: Machine): string {
  return join(machine.cacheDir, `etcd-v${ETCD_VERSION}`)
}

/** Builds etcd's programs that are missing in the cache, from the Go modules pinned in scripts/etcd. Concurrent processes build once. */
export async function buildEtcd(of: {
  machine: Machine
  names: ('etcd' | 'etcdctl' | 'etcdutl')[]
  onLine: (line: string) => void
  signal?: AbortSignal
}): Promise<void> {
  const { machine, names, onLine, signal } = of
  await makeOnce({
    dir: etcdCache(machine),
    names,
    ...(signal ? { signal } : {}),
    make: async (tmp, missing) => {
      await run(machine.go, ['version'], { env: machine.env })
      onLine(
        `building ${missing.join(', ')} ${ETCD_VERSION} with Go, once for this machine; this may take two minutes`,
      )
      for (const name of missing) {
        const args = ['build', '-trimpath', '-ldflags', '-s -w', '-o', join(tmp, name), PACKAGES[name] ?? '']
        await run(machine.go, args, {
          cwd: MODULE,
          env: { ...machine.env, CGO_ENABLED: '0' },
          ...(signal ? { signal } : {}),
        })
      }
    },
  })
}
