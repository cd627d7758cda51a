import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../fault/eventually.ts'
import { clusterForAll } from '../fixtures/cluster-for-all.ts'
import { buildImage } from '../servers/build-image.ts'
import { whyNoCluster } from '../servers/cluster/requirements.ts'
import { debianTree } from '../servers/debian-tree.ts'
import { temporaryDirectory } from '../servers/directory.ts'
import { makeArchive } from '../servers/images.ts'
import { agents, IMAGE, web } from './objects.ts'

const NAMESPACE = 'cluster-test'

describe.skipIf(whyNoCluster())('a cluster of two nodes', () => {
  const cluster = clusterForAll()
  const kubectl = (...args: string[]) => cluster.kubectl(['--namespace', NAMESPACE, ...args])
  const apply = (objects: object[]) =>
    cluster.kubectl(['--namespace', NAMESPACE, 'apply', '-f', '-'], {
      stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
    })
  const podOn = async (node: string, app: string) => {
    const on = ['--selector', `app=${app}`, `--field-selector=spec.nodeName=${node}`]
    return (await kubectl('get', 'pods', ...on, '--output=name')).trim()
  }

  beforeAll(async () => {
    await cluster.loadImage(await imageIn(cluster.dir))
    await cluster.kubectl(['create', 'namespace', NAMESPACE])
    await apply([...web(), ...agents()])
    await kubectl('rollout', 'status', 'statefulset/web', '--timeout=120s')
    await kubectl('rollout', 'status', 'daemonset/agents', '--timeout=120s')
  })
  afterAll(async () => {
    if (!cluster.dir) return
    await cluster.kubectl(['delete', 'namespace', NAMESPACE])
  })

  test('a pod reaches a Service by its name, on both nodes, from the other node', async () => {
    const client = await podOn('node-2', 'agents')
    const seen = new Set<string>()
    await eventually('both pods have answered', async () => {
      seen.add((await kubectl('exec', client, '--', '/bin/bash', '-c', get('web', 80))).trim())
      return seen.size === 2
    })
    const nodes = [...seen].map(answer => /^web-[01] on (node-[12])$/.exec(answer)?.[1])
    expect(new Set(nodes)).toEqual(new Set(['node-1', 'node-2']))
  })

  test('a claim of the default class is bound, and a user other than root writes to it', async () => {
    expect(await kubectl('get', 'pvc', '--output=jsonpath={.items[*].status.phase}')).toBe('Bound Bound')
    expect((await kubectl('exec', 'web-0', '--', '/bin/cat', '/data/starts')).trim()).toBe('65532')
  })

  test('this machine reaches a NodePort and a Service by forwarded ports', async () => {
    const [ip = '', port = ''] = (
      await kubectl('get', 'service', 'web', '--output=jsonpath={.spec.clusterIP} {.spec.ports[0].nodePort}')
    ).split(' ')
    const targets = [
      { host: ip, port: 80 },
      { host: await cluster.nodeAddress('node-2'), port: Number(port) },
    ]
    for (const { host, port: to } of targets) {
      const forward = await cluster.forward(host, to)
      try {
        const answer = await fetch(`http://127.0.0.1:${forward.port}/`)
        expect(await answer.text()).toMatch(/^web-[01] on node-[12]\n$/)
      } finally {
        forward.close()
      }
    }
  })

  test('a server that is not a node reaches NodePorts', async () => {
    const port = await kubectl('get', 'service', 'web', '--output=jsonpath={.spec.ports[0].nodePort}')
    const server = await cluster.startServer('server-1')
    try {
      expect(await server.run('hostname')).toBe('server-1\n')
      const request = get(await cluster.nodeAddress('node-1'), Number(port))
      expect(await server.run('/bin/bash', '-c', request)).toMatch(/^web-[01] on node-[12]\n$/)
    } finally {
      await server.stop()
    }
  })

  test('a privileged pod enters the processes, mounts and network of its own node', async () => {
    for (const node of cluster.nodes) {
      const enter = ['nsenter', '--target=1', '--mount', '--net', '--uts', '--']
      const exec = ['exec', await podOn(node, 'agents'), '--', ...enter]
      expect((await kubectl(...exec, 'cat', '/etc/hostname')).trim()).toBe(node)
      expect(await kubectl(...exec, 'ip', '-brief', 'address', 'show', 'eth0')).toContain(
        `${await cluster.nodeAddress(node)}/24`,
      )
    }
  })

  test('a user with a certificate has the rights of its groups only', async () => {
    const kubeconfig = await cluster.kubeconfigFor('somebody')
    const refused = await cluster.tryKubectl(['get', 'nodes'], { kubeconfig })
    expect(refused.stderr).toContain('User "somebody" cannot list resource "nodes"')
  })

  test.each([4, 3] as const)('Helm %i installs a chart and uninstalls it', async version => {
    const chart = join(cluster.dir, `chart-${version}`)
    await mkdir(join(chart, 'templates'), { recursive: true })
    await writeFile(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: tiny\nversion: 0.1.0\n')
    const template =
      'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: tiny }\ndata: { by: "{{ .Capabilities.HelmVersion.Version }}" }\n'
    await writeFile(join(chart, 'templates/map.yaml'), template)
    await cluster.helm(['install', 'tiny', chart, '--namespace', NAMESPACE, '--wait'], { version })
    expect(await kubectl('get', 'configmap', 'tiny', '--output=jsonpath={.data.by}')).toMatch(`v${version}.`)
    await cluster.helm(['uninstall', 'tiny', '--namespace', NAMESPACE, '--wait'], { version })
    expect(await kubectl('get', 'configmap', 'tiny', '--ignore-not-found')).toBe('')
    await rm(chart, { recursive: true })
  })
})

/** Bash resolves the name, which static busybox cannot. */
const get = (host: string, port: number) =>
  `exec 3<>/dev/tcp/${host}/${port} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && while read -r line <&3; do last=$line; done; echo "$last"`

/** An image from a Containerfile: a base made of this machine's programs, and busybox on top. */
async function imageIn(parent: string): Promise<string> {
  const { path: dir, remove } = await temporaryDirectory('shellcron-image-')
  try {
    const programs = ['/bin/bash', '/bin/cat', '/bin/sleep', '/usr/bin/nsenter']
    const tree = await debianTree(join(dir, 'tree'), programs)
    const base = join(dir, 'base.tar')
    await makeArchive(base, { name: 'localhost/base:1', tree })
    const containerfile = join(dir, 'Containerfile')
    await writeFile(containerfile, 'ARG BASE\nFROM ${BASE}\nRUN ["/bin/bash", "-c", "echo built > /built"]\n')
    const archive = join(parent, 'image.tar')
    const args = { BASE: 'localhost/base:1' }
    await buildImage(archive, { name: IMAGE, containerfile, context: dir, args, bases: [base] })
    return archive
  } finally {
    await remove()
  }
}
