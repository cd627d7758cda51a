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
const KSTATUS = fileURLToPath(new URL('./kstatus', import.meta.url))
const ARGOCD = fileURLToPath(new URL('./argocd', import.meta.url))
const COREDNS = fileURLToPath(new URL('./coredns', import.meta.url))
/** One program with six names. */
const COMPONENTS = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
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

/** The directory of all programs of a cluster with nodes. Builds them first if this machine does not have them. */
export async function nodePrograms(): Promise<string> {
  return buildKubernetes(readMachine())
}

/** The path of `cri`, which requests pods from a runtime as a kubelet does. Builds it first if this machine does not have it. */
export async function criProgram(): Promise<string> {
  return goProgram({ name: 'cri', module: CRI, flags: [] })
}

/** The path of CoreDNS. Builds it first if this machine does not have it. */
export async function corednsProgram(): Promise<string> {
  return goProgram({ name: 'coredns', module: COREDNS, flags: ['-ldflags', '-s -w'] })
}

/** The path of `kstatus`, which computes the status of objects as Flux and Helm do. Builds it first if this machine does not have it. */
export async function kstatusProgram(): Promise<string> {
  return goProgram({ name: 'kstatus', module: KSTATUS, flags: [] })
}

/** The path of `argocd`, which runs health scripts as Argo CD does. Builds it first if this machine does not have it. */
export async function argocdProgram(): Promise<string> {
  return goProgram({ name: 'argocd', module: ARGOCD, flags: [] })
}

/** Builds the main package of a module of ours, once for this machine. */
async function goProgram(of: { name: string; module: string; flags: string[] }): Promise<string> {
  const machine = readMachine()
  const dir = join(machine.cacheDir, `${of.name}-${await fingerprint(of.module)}`)
  await makeOnce({
    dir,
    names: [of.name],
    make: async tmp => {
      tell(`building ${of.name} with Go, once for this machine`)
      const args = ['build', '-trimpath', ...of.flags, '-o', join(tmp, of.name), '.']
      await run('nice', [machine.go, ...args], {
        cwd: of.module,
        env: { ...machine.env, CGO_ENABLED: '0' },
      })
    },
  })
  return join(dir, of.name)
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
