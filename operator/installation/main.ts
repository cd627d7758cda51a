import { InvalidInput } from '../../core/errors.ts'
import { systemClock } from '../../platform/clock.ts'
import { connectKubernetes } from '../../platform/kubernetes/connect.ts'
import { clean } from './clean.ts'
import { drain } from './drain.ts'
import { testInstallation } from './test.ts'

export { backup } from './backup.ts'

/** Settings of `shellcron installation …`, named like its flags. */
export interface InstallationSettings {
  kubeconfig?: string
  namespace?: string
  /** Seconds. */
  within?: number
  secrets?: string[]
  service?: string
  agentNamespace?: string
  pod?: string
  daemonSets?: string[]
  pool?: string
}

/** Runs one step of an installation in a cluster. Rejects with a message that says what is missing and how to mend it. */
export async function main(step: 'drain' | 'clean' | 'test', settings: InstallationSettings): Promise<void> {
  const { kubeconfig, namespace = process.env['POD_NAMESPACE'], within = 120 } = settings
  if (namespace === undefined) throw new InvalidInput('--namespace', 'is required outside a pod')
  const onLine = (line: string) => void process.stdout.write(`${line}\n`)
  const surroundings = { api: connectKubernetes(kubeconfig), clock: systemClock, namespace, onLine }
  const signal = AbortSignal.timeout(within * 1_000)
  if (step === 'drain') return drain(surroundings, signal)
  if (step === 'clean') {
    const { secrets = [], service, agentNamespace, pod } = settings
    return clean({ ...surroundings, secrets, service, agentNamespace, pod }, signal)
  }
  const { daemonSets = [], pool = 'default' } = settings
  const id = `shellcron-test-${systemClock.now().toString(36)}`
  return testInstallation({ ...surroundings, daemonSets, pool, id }, signal)
}
