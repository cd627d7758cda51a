import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { type Namespaces, runIn } from './namespaces.ts'

const run = promisify(execFile)

/**
 * The network of one cluster. Nothing of it is in this machine's own network namespace, so two clusters may have the same addresses.
 *
 *   control plane 192.168.77.1 ── bridge ─┬─ node-1 192.168.77.11 ── pods 10.244.1.0/24
 *                                         ├─ node-2 192.168.77.12 ── pods 10.244.2.0/24
 *                                         └─ servers that are not nodes, from 192.168.77.100
 *
 * Services (10.0.0.0/24) are translated on each node. The control plane reaches them through the first one.
 */
export const CONTROL_PLANE = '192.168.77.1'
export const PODS = '10.244.0.0/16'
export const SERVICES = '10.0.0.0/24'
export const DNS_SERVICE = '10.0.0.10'

/** `index` counts from 1. */
export const nodeAddress = (index: number) => `192.168.77.${10 + index}`
export const podSubnet = (index: number) => `10.244.${index}.0/24`

/** Makes the bridge. Packets to elsewhere are refused at once, so that nobody waits for them. */
export async function makeBridge(controlPlane: Namespaces): Promise<void> {
  await controlPlane.run(
    '/bin/sh',
    '-ec',
    `ip link set lo up
    ip link add lan type bridge
    ip address add ${CONTROL_PLANE}/24 dev lan
    ip link set lan up
    ip route add unreachable default
    echo 1 > /proc/sys/net/ipv4/ip_forward`,
  )
}

/** Connects a node to the bridge. After a restart too: the kernel removes the interfaces of a dead machine, but may take its time. */
export async function connectNode(
  controlPlane: Namespaces,
  node: Namespaces,
  { index, nodes }: { index: number; nodes: number },
): Promise<void> {
  const address = nodeAddress(index)
  await controlPlane.run('/bin/sh', '-c', `ip link delete ${node.name} 2> /dev/null || true`)
  await plugIn({ controlPlane: controlPlane.pid, pid: node.pid, port: node.name, address })
  const services = index === 1 ? `ip route replace ${SERVICES} via ${address}` : ''
  await controlPlane.run('/bin/sh', '-ec', `ip route replace ${podSubnet(index)} via ${address}\n${services}`)
  const others = Array.from({ length: nodes }, (_, i) => i + 1).filter(other => other !== index)
  await node.run(
    '/bin/sh',
    '-ec',
    `${others.map(other => `ip route add ${podSubnet(other)} via ${nodeAddress(other)}`).join('\n')}
    echo 1 > /proc/sys/net/ipv4/ip_forward
    echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables`,
  )
}

/** Connects a machine to the bridge, by a port of this name. `pid`: of its first process. */
export async function plugIn(of: {
  controlPlane: number
  pid: number
  port: string
  address: string
}): Promise<void> {
  const { controlPlane, pid, port, address } = of
  // nsenter stays in this pid namespace, in which `pid` is meant.
  const inLan = ['--target', String(controlPlane), '--net', '--', 'ip', 'link']
  await run('/usr/bin/nsenter', [
    ...inLan,
    'add',
    port,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    `${pid}`,
  ])
  await run('/usr/bin/nsenter', [...inLan, 'set', port, 'master', 'lan', 'up'])
  const own = [
    'ip link set lo up',
    `ip address add ${address}/24 dev eth0`,
    'ip link set eth0 up',
    `ip route add default via ${CONTROL_PLANE}`,
  ]
  await runIn(pid, ['/bin/sh', '-ec', own.join('\n')])
}
