import { Option } from 'commander'
import { collect } from './parsers.ts'

export function secretFromEnvOption(): Option {
  return new Option(
    '--secret-from-env <namespace/name/key=variable>',
    'without Kubernetes: take this key of a Secret from an environment variable; repeatable',
  )
    .argParser(collect)
    .default([], 'none')
}
