import { Option } from 'commander'

export function secretFromEnvOption(): Option {
  return new Option(
    '--secret-from-env <namespace/name/key=variable>',
    "standalone: a key of a Secret is this variable of the operator's environment; may be given several times",
  )
    .argParser((value: string, all: string[]) => [...all, value])
    .default([], 'none')
}
