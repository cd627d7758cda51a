import { execFile } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadChartImages } from '../fixtures/chart-images.ts'
import { clusterForAll } from '../fixtures/cluster-for-all.ts'
import { commandsOf } from '../fixtures/pages.ts'
import { nodePrograms } from '../servers/binaries.ts'
import { whyNoCluster } from '../servers/cluster/requirements.ts'
import { helmProgram } from '../servers/helm.ts'

/**
 * Types what the README and docs/install.md say, from nothing to the removal. Only the names of the images are other ones. The commands are
 * one story, in this order.
 */
const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const AFTER = ['-n', 'shellcron', '--ignore-not-found', '--timeout=120s']
/** From nothing to the output of the first job. */
const MOST_COMMANDS = 9

describe.skipIf(whyNoCluster())('as a new user', () => {
  const cluster = clusterForAll()
  let values = ''
  let env: NodeJS.ProcessEnv

  beforeAll(async () => {
    values = await loadChartImages(cluster, join(cluster.dir, 'readme-test'))
    const tools = [join(ROOT, 'bin'), await nodePrograms(), dirname(await helmProgram())]
    const home = join(cluster.dir, 'readme-test')
    const homes = { HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home }
    const PATH = [...tools, process.env['PATH']].join(':')
    env = { ...process.env, ...homes, PATH, KUBECONFIG: cluster.kubeconfig }
  }, 600_000)

  afterAll(async () => {
    if (!values) return
    await cluster.tryHelm(['uninstall', 'shellcron', ...AFTER])
    const namespaces = ['shellcron', 'shellcron-agents', 'ops']
    await cluster.tryKubectl(['delete', 'namespace', ...namespaces, '--ignore-not-found', '--timeout=120s'])
    await cluster.tryKubectl(['delete', 'shellpolicy', 'ops', '--ignore-not-found'])
  })

  // `exec`, so that the timeout ends the program itself.
  const type = async (command: string) => {
    const own = /^helm (install|upgrade)/.test(command) ? `${command} --values ${values}` : command
    const { stdout } = await run('/bin/sh', ['-c', `exec ${own}`], { cwd: ROOT, env, timeout: 280_000 })
    return stdout
  }
  const typeAll = async (commands: string[]) => {
    const said: { command: string; output: string }[] = []
    for (const command of commands) said.push({ command, output: await type(command) })
    return (program: string) => said.find(({ command }) => command.startsWith(program))?.output
  }

  test("the README's commands lead to the output of a command on a node", async () => {
    const commands = commandsOf('README.md', 'In a cluster')
    const outputs = commands.findIndex(command => command.includes('--logs'))
    expect(outputs).toBeGreaterThan(0)
    expect(outputs).toBeLessThan(MOST_COMMANDS)
    const outputOf = await typeAll(commands)
    expect(outputOf('kubectl shellcron run')).toMatch(/^hello from node-[12]$/m)
    expect(outputOf('kubectl get scj')).toMatch(/^hello .*True/m)
  })

  test('run refuses a job that does not exist', async () => {
    await expect(type('kubectl shellcron run nope -n ops --wait')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('ShellCronJob "nope" does not exist in namespace "ops"') as string,
    })
  })

  test('docs/install.md upgrades, uninstalls and installs again, to the results of the job', async () => {
    await typeAll([
      ...commandsOf('docs/install.md', 'Upgrade'),
      ...commandsOf('docs/install.md', 'Uninstall'),
    ])
    const install = commandsOf('docs/install.md', 'Install in a cluster').filter(
      // The README's commands have made it.
      command => !command.startsWith('kubectl create namespace'),
    )
    const outputOf = await typeAll(install)
    expect(outputOf('kubectl logs shellcron-test')).toMatch(/command: hello from node-[12]/)
    expect(outputOf('kubectl shellcron history')).toMatch(/hello\S* Succeeded .*: hello from node-[12]/)
  })

  test('docs/install.md removes everything', async () => {
    await typeAll(commandsOf('docs/install.md', 'Uninstall'))
    const claims = await type('kubectl get pvc -n shellcron -l app.kubernetes.io/instance=shellcron -o name')
    expect(claims.trim().split('\n')).toHaveLength(4)
    await typeAll(commandsOf('docs/install.md', 'Remove everything'))
    const left = await type('kubectl get crd,namespaces,clusterroles,clusterrolebindings -o name')
    expect(left.split('\n').filter(name => name.includes('shellcron'))).toEqual([])
  })
})
