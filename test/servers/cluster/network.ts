import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Namespaces } from './namespaces.ts'

const run = promisify(execFile)

/**
 * The network of one cluster. Nothing of it is in this machine's own network namespace, so two clusters may have the same addresses.
 *
 *   control plane 192.168.77.1 ── bridge ─┬─ node-1 192.168.77.11 ── pods 10.244.1.0/24
 *                                         └─ node-2 192.168.77.12 ── pods 10.244.2.0/24
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

/** Connects a node to the bridge. After a restart too, because the kernel has removed its interface. */
export async function connectNode(
  controlPlane: Namespaces,
  node: Namespaces,
  { index, nodes }: { index: number; nodes: number },
): Promise<void> {
  // nsenter stays in this pid namespace, in which node.pid is meant.
  const pair = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', String(node.pid)]
  const add = ['--target', String(controlPlane.pid), '--net', '--', 'ip', 'link', 'add', node.name, ...pair]
  await run('/usr/bin/nsenter', add)
  await controlPlane.run(
    '/bin/sh',
    '-ec',
    `ip link set ${node.name} master lan
    ip link set ${node.name} up
    ip route replace ${podSubnet(index)} via ${nodeAddress(index)}
    ${index === 1 ? `ip route replace ${SERVICES} via ${nodeAddress(index)}` : ''}`,
  )
  const others = Array.from({ length: nodes }, (_, i) => i + 1).filter(other => other !== index)
  await node.run(
    '/bin/sh',
    '-ec',
    `ip link set lo up
    ip address add ${nodeAddress(index)}/24 dev eth0
    ip link set eth0 up
    ip route add default via ${CONTROL_PLANE}
    ${others.map(other => `ip route add ${podSubnet(other)} via ${nodeAddress(other)}`).join('\n')}
    echo 1 > /proc/sys/net/ipv4/ip_forward
    echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables`,
  )
}
