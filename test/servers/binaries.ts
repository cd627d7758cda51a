import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Machine, readMachine } from '../../cli/up/config.ts'
import { buildEtcd, etcdCache } from '../../cli/up/etcd-build.ts'
import { exists, makeOnce } from '../../platform/make-once.ts'

const run = promisify(execFile)
const MODULE = fileURLToPath(new URL('./kubernetes', import.meta.url))
const CRI = fileURLToPath(new URL('./cri', import.meta.url))
/** One program with five names. */
const COMPONENTS = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kubectl',
] as const

/** The directory of Kubernetes' programs. Builds them first if this machine does not have them. */
export async function kubernetesPrograms(): Promise<string> {
  const machine = readMachine()
  const given = machine.env['KUBEBUILDER_ASSETS']
  if (given && (await hasAll(given))) return given
  return buildKubernetes(machine)
}

/** The directory of etcd, etcdctl and etcdutl. Builds them first if this machine does not have them. */
export async function etcdPrograms(): Promise<string> {
  const machine = readMachine()
  await buildEtcd({ machine, names: ['etcd', 'etcdctl', 'etcdutl'], onLine: tell })
  return etcdCache(machine)
}

/** The path of `cri`, which requests pods from a runtime as a kubelet does. Builds it first if this machine does not have it. */
export async function criProgram(): Promise<string> {
  const machine = readMachine()
  const dir = join(machine.cacheDir, `cri-${await fingerprint(CRI)}`)
  await makeOnce({
    dir,
    names: ['cri'],
    make: async tmp => {
      const args = ['build', '-trimpath', '-o', join(tmp, 'cri'), '.']
      await run(machine.go, args, { cwd: CRI, env: { ...machine.env, CGO_ENABLED: '0' } })
    },
  })
  return join(dir, 'cri')
}

async function hasAll(dir: string): Promise<boolean> {
  const needed = ['kube-apiserver', 'kube-controller-manager', 'kubectl']
  return (await Promise.all(needed.map(name => exists(join(dir, name))))).every(Boolean)
}

async function buildKubernetes(machine: Machine): Promise<string> {
  const version = /k8s\.io\/kubernetes (v\S+)/.exec(await readFile(join(MODULE, 'go.mod'), 'utf8'))?.[1]
  if (!version) throw new Error(`${MODULE}/go.mod does not require k8s.io/kubernetes`)
  const dir = join(machine.cacheDir, `kubernetes-${version}-${await fingerprint(MODULE)}`)
  await makeOnce({
    dir,
    names: ['kubernetes', ...COMPONENTS],
    make: async tmp => {
      tell(`building Kubernetes ${version} with Go, once for this machine; takes five to fifteen minutes`)
      await compile(machine, version, join(tmp, 'kubernetes'))
      for (const name of COMPONENTS) await symlink('kubernetes', join(tmp, name))
    },
  })
  return dir
}

async function compile(machine: Machine, version: string, output: string): Promise<void> {
  const [major = '', minor = ''] = version.slice(1).split('.')
  const set = (name: string, value: string) => `-X k8s.io/component-base/version.${name}=${value}`
  const flags = [
    '-s -w',
    set('gitVersion', version),
    set('gitMajor', major),
    set('gitMinor', minor),
    `-X k8s.io/client-go/pkg/version.gitVersion=${version}`,
  ]
  // At low priority, for the other processes of a small machine.
  await run('nice', [machine.go, 'build', '-trimpath', '-ldflags', flags.join(' '), '-o', output, '.'], {
    cwd: MODULE,
    env: { ...machine.env, CGO_ENABLED: '0' },
    maxBuffer: 64 * 1024 ** 2,
  })
}

/** A hash of the sources: other sources have another directory in the cache. */
async function fingerprint(module: string): Promise<string> {
  const hash = createHash('sha256')
  for (const name of ['go.mod', 'go.sum', 'main.go']) hash.update(await readFile(join(module, name)))
  return hash.digest('hex').slice(0, 12)
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`)
}
