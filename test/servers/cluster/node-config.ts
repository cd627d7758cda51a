import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { DNS_SERVICE, podSubnet } from './network.ts'

/** The paths at which a node has its files are those of real nodes: the mounts in namespaces.ts separate them. */
export const CONTAINERD_SOCKET = '/run/containerd/containerd.sock'

/** Paths of the files. */
export const configIn = (dir: string) => ({
  containerd: join(dir, 'containerd.toml'),
  kubelet: join(dir, 'kubelet.yaml'),
})

/** Writes the configuration of one node. `index` counts from 1. */
export async function writeNodeConfig(
  dir: string,
  of: { name: string; index: number; cgroup: string; caFile: string },
): Promise<void> {
  const cni = join(dir, 'cni')
  await mkdir(cni, { recursive: true })
  await writeFile(join(cni, '10-bridge.conflist'), JSON.stringify(cniConfig(of.name, podSubnet(of.index))))
  await writeFile(configIn(dir).containerd, containerdConfig(cni))
  await writeFile(configIn(dir).kubelet, stringify(kubeletConfig(`/${of.cgroup}`, of.caFile)))
}

function cniConfig(name: string, subnet: string): unknown {
  const bridge = {
    type: 'bridge',
    bridge: 'cni0',
    isGateway: true,
    hairpinMode: true,
    ipMasq: true,
    ipam: { type: 'host-local', ranges: [[{ subnet }]], routes: [{ dst: '0.0.0.0/0' }] },
  }
  const portmap = { type: 'portmap', capabilities: { portMappings: true } }
  return { cniVersion: '0.4.0', name, plugins: [bridge, portmap] }
}

/** Root may lack CAP_SYS_RESOURCE, and then may not lower a container's OOM score. */
function containerdConfig(cni: string): string {
  return `version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${cni}"
`
}

function kubeletConfig(cgroup: string, caFile: string): unknown {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      x509: { clientCAFile: caFile },
      webhook: { enabled: true },
    },
    authorization: { mode: 'Webhook' },
    clusterDNS: [DNS_SERVICE],
    clusterDomain: 'cluster.local',
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    failCgroupV1: false,
    failSwapOn: false,
    cgroupDriver: 'cgroupfs',
    // Two kubelets with the same root would remove each other's pods.
    cgroupRoot: cgroup,
    enforceNodeAllocatable: [],
    volumePluginDir: '/var/lib/kubelet/volume-plugins',
    // The disk is shared with everything else on this machine.
    evictionHard: {
      'memory.available': '1Mi',
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'imagefs.available': '0%',
    },
    imageGCHighThresholdPercent: 100,
  }
}
