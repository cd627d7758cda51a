import { untilReady } from '../../platform/child-process.ts'
import { makeImages } from './images.ts'
import { startMachine, type TestMachine } from './machine.ts'

/** A container runtime on a machine of its own, with the images of `makeImages`. */
export interface ContainerRuntime extends TestMachine {
  /** Of its API. */
  socket: string
  stopContainer(id: string): Promise<void>
  removeContainer(id: string): Promise<void>
}

/** What is to be known of a runtime to start it, in the directory of its machine. */
interface Program {
  name: string
  prefix: string
  command(dir: string): Promise<string[]>
  /** Once it answers. */
  isReady(socket: string): Promise<boolean>
  load(socket: string, image: string): Promise<unknown>
}

/** Where `command` shall serve its API. */
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
