import { existsSync } from 'node:fs'
import type { Arm, ExitRecord } from '../../../agent/launcher/messages.ts'
import { inContainer } from '../../../agent/runs/container-command.ts'
import { type Command, commandSchema } from '../../../core/records/entry.ts'
import { execBinary } from '../../../scripts/go-programs.ts'
import { type Containerd, startContainerd } from '../../servers/containerd.ts'
import { type Docker, dockerPath, startDocker } from '../../servers/docker.ts'
import type { TestMachine } from '../../servers/machine.ts'
import { type Podman, startPodman } from '../../servers/podman.ts'
import { SESSION } from '../launcher/launcher.ts'

/** What the suite needs of a container runtime. */
export interface Runtime {
  machine: TestMachine
  socket: string
  /** Starts a container with this value of the label `app`. */
  container(of: TestContainer): Promise<StartedContainer>
  /** Its name in messages and line prefixes. */
  nameOf(app: string): string
}

export interface TestContainer {
  app: string
  image?: string
  argv?: string[]
  /** In bytes. */
  memory?: number
}

export interface StartedContainer {
  stop(): Promise<void>
  remove(): Promise<void>
}

/** The namespace of the pods. */
export const NAMESPACE = 'table'

/** The runtimes that are installed, each with its start function. */
export const runtimes = Object.entries({
  '/usr/bin/containerd': ['containerd', async () => onContainerd(await startContainerd())] as const,
  '/usr/bin/podman': ['podman', async () => onEngine(await startPodman())] as const,
  [dockerPath()]: ['docker', async () => onEngine(await startDocker())] as const,
}).flatMap(([program, runtime]) => (canRun(program) ? [runtime] : []))

function canRun(program: string): boolean {
  return process.getuid?.() === 0 && existsSync(program) && existsSync('/bin/busybox')
}

function onContainerd(containerd: Containerd): Runtime {
  return {
    machine: containerd,
    socket: containerd.socket,
    nameOf: app => `${app}/app`,
    async container({ app, image, argv, memory }) {
      const one = {
        ...(image ? { image: `localhost/${image}:1` } : {}),
        ...(argv ? { argv } : {}),
        ...(memory ? { memory } : {}),
      }
      const pod = await containerd.pod({
        name: app,
        namespace: NAMESPACE,
        labels: { app },
        containers: { app: one },
      })
      return {
        stop: () => containerd.stopContainer(pod.containers['app'] ?? ''),
        remove: () => pod.remove(),
      }
    },
  }
}

function onEngine(engine: Podman | Docker): Runtime {
  return {
    machine: engine,
    socket: engine.socket,
    nameOf: app => app,
    async container({ app, image, argv, memory }) {
      await engine.run({
        name: app,
        labels: { app },
        ...(image ? { image: `localhost/${image}:1` } : {}),
        ...(argv ? { argv } : {}),
        ...(memory ? { memory } : {}),
      })
      return { stop: () => engine.stopContainer(app), remove: () => engine.removeContainer(app) }
    },
  }
}

export const helper = await execBinary()

/** The order to run a script in the containers with this value of the label `app`. */
export function inside(
  runtime: Pick<Runtime, 'socket'>,
  app: string,
  of: { id: string; script: string; env?: Record<string, string>; command?: Partial<Command> } & Partial<Arm>,
): Arm {
  const { id, script, env = {}, command: more = {}, ...arm } = of
  const command = commandSchema.parse({
    placement: {},
    shell: ['/bin/sh', '-c'],
    script,
    outputLimit: 0,
    container: { selector: { matchLabels: { app } } },
    ...more,
  })
  const settings = { helper, endpoints: [`unix://${runtime.socket}`], podsOnly: false }
  const { container } = command
  if (!container) throw new Error('the command has no container')
  return {
    id,
    session: SESSION,
    at: 0,
    env: {},
    graceMs: 60_000,
    outputLimit: 100_000_000,
    fenced: true,
    ...inContainer(container, { command, namespace: NAMESPACE }, { settings, env }),
    ...arm,
  }
}

/** What the helper reported about a run. */
export function reportOf({ told = '{}' }: ExitRecord): { reason?: string; message?: string; oom?: boolean } {
  return JSON.parse(told)
}
