import { randomInt } from 'node:crypto'
import { messageOf } from '../../../platform/errors.ts'
import { temporaryDirectory } from '../directory.ts'
import { type Namespaces, startNamespaces } from './namespaces.ts'
import { plugIn } from './network.ts'

/** A machine in the network of a cluster that is not a node of it: it reaches the nodes' addresses and their NodePorts. */
export interface LanServer extends Omit<Namespaces, 'kill' | 'check'> {
  address: string
  /** Its files, among them a log of each program that `start` started. */
  dir: string
  /** Kills everything in it, and removes its files. */
  stop(): Promise<void>
}

/** Starts one, without any program in it. It ends with this process at the latest. `controlPlane`: a pid in the network. */
export async function startLanServer(controlPlane: number, name: string): Promise<LanServer> {
  const { path: dir, remove } = await temporaryDirectory('shellcron-server-')
  const machine = await startNamespaces(name, dir)
  const stop = async () => {
    await machine.kill()
    await remove()
  }
  try {
    const address = await plugInAnywhere(controlPlane, machine.pid)
    const { pid, run, start } = machine
    return { name, pid, run, start, address, dir, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Several processes may add servers to one network: the name of the bridge's port says which address is taken. */
async function plugInAnywhere(controlPlane: number, pid: number): Promise<string> {
  for (let left = 20; ; left--) {
    const last = randomInt(100, 250)
    const address = `192.168.77.${last}`
    try {
      await plugIn({ controlPlane, pid, port: `server-${last}`, address })
      return address
    } catch (error) {
      if (left === 0 || !messageOf(error).includes('File exists')) throw error
    }
  }
}
