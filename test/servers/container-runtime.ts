import { untilReady } from '../../platform/child-process.ts'
import { makeImages } from './images.ts'
import { startMachine, type TestMachine } from './machine.ts'

/** A container runtime on its own machine, with the images of `makeImages`. */
export interface ContainerRuntime extends TestMachine {
  /** The socket of its API. */
  socket: string
  stopContainer(id: string): Promise<void>
  removeContainer(id: string): Promise<void>
}

/** How to start a runtime, in its machine's directory. */
interface Program {
  name: string
  prefix: string
  command(dir: string): Promise<string[]>
  /** Called once it answers. */
  isReady(socket: string): Promise<boolean>
  load(socket: string, image: string): Promise<unknown>
}

/** The socket on which `command` serves its API. */
export const socketIn = (dir: string) => `${dir}/sock`

export async function startRuntime(of: Program): Promise<TestMachine & { socket: string }> {
  const machine = await startMachine(of.prefix, ({ dir }) => of.command(dir))
  const { dir, child } = machine
  const socket = socketIn(dir)
  try {
    await untilReady({ name: of.name, child }, () => of.isReady(socket))
    for (const image of await makeImages(dir)) await of.load(socket, image)
  } catch (error) {
    await machine.stop()
    throw error
  }
  return { ...machine, socket }
}
