import { Option } from 'commander'

export function logLevelOption(description: string): Option {
  return new Option('--log-level <level>', description).choices(['debug', 'info', 'warn', 'error', 'silent'])
}
