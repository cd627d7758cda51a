import type { LabelSelector, Placement } from '../records/entry.ts'
import { short } from './size-limit.ts'

const LONGEST = 128

/** Where a command runs, for the TARGET column: `One default`, `All db role=db`, `Shards(8) default`, `One default app=web (container)`. */
export function targetText(of: {
  pool: string
  placement: Pick<Placement, 'mode' | 'shards' | 'selector' | 'agents'>
  container?: { selector: LabelSelector } | undefined
}): string {
  const { mode, shards, selector, agents } = of.placement
  const parts = [
    mode === 'Shards' ? `Shards(${shards ?? 1})` : mode,
    of.pool,
    agents.join(','),
    selector ? selectorText(selector) : '',
    of.container ? `${selectorText(of.container.selector)} (container)` : '',
  ]
  return short(parts.filter(part => part !== '').join(' '), LONGEST)
}

/** `role=db,zone In (a,b)` */
export function selectorText({ matchLabels, matchExpressions }: LabelSelector): string {
  return [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`),
    ...matchExpressions.map(({ key, operator, values }) =>
      values.length > 0 ? `${key} ${operator} (${values.join(',')})` : `${key} ${operator}`,
    ),
  ].join(',')
}
