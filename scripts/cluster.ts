/** `make cluster`: starts a Kubernetes of two nodes on this machine, and leaves it up until Ctrl-C. */
import { mkdir, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nodePrograms } from '../test/servers/binaries.ts'
import { startCluster } from '../test/servers/cluster.ts'
import { helmProgram } from '../test/servers/helm.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const LINK = join(ROOT, '.shellcron/cluster')

const started = performance.now()
const tell = (text: string) =>
  process.stderr.write(`${((performance.now() - started) / 1000).toFixed(1)} s  ${text}\n`)

const cluster = await startCluster({ onStep: tell })
const end = new Promise(resolve => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve)
})
// A fixed path for the kubeconfig, whose directory is another one each time.
await mkdir(dirname(LINK), { recursive: true })
await rm(LINK, { force: true })
await symlink(cluster.dir, LINK)
tell('ready')
const tools = [join(ROOT, 'bin'), await nodePrograms(), dirname(await helmProgram())].join(':')
process.stdout.write(`
The cluster is up until Ctrl-C. In another shell:
  export KUBECONFIG=${join(LINK, 'kubeconfig')} PATH=${tools}:$PATH
To install ShellCron from this checkout: \`make cluster-images\`, then as docs/install.md says, with
  --values ${join(LINK, 'values.yaml')}
Logs: ${join(LINK, '*/*.log')}
`)
// Nothing else keeps this process alive.
const hold = setInterval(() => {}, 1 << 30)
await end
clearInterval(hold)
await rm(LINK, { force: true })
await cluster.stop()
