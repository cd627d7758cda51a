import { Option } from 'commander'
import { collect } from './parsers.ts'

export function trustOwnerOption(): Option {
  return new Option(
    '--trust-owner <user>',
    'a user who may own the directories and files that are used, besides root and you; repeatable',
  )
    .argParser(collect)
    .default([], 'none')
}
