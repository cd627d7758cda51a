import type { Active } from '../../core/records/state.ts'

/** The attempt whose output a launch writes. It is in the launch's labels, so that the next agent process knows it too. */
export interface Attempt {
  uid: string
  run: string
  attempt: number
  namespace: string
  name: string
}

export function outputLabels({ uid, run, attempt, namespace, name }: Active): Record<string, string> {
  return { uid, run, attempt: String(attempt), namespace, name }
}

/** undefined: the labels do not name an attempt. */
export function attemptOf(labels: Readonly<Record<string, string>> | undefined): Attempt | undefined {
  const { uid, run, attempt, namespace, name } = labels ?? {}
  return uid && run && attempt && namespace && name
    ? { uid, run, attempt: Number(attempt), namespace, name }
    : undefined
}
