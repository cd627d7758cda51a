import { type Command, Option } from 'commander'
import * as z from 'zod'
import { condition } from '../core/schema/status.ts'
import type { ClusterFlags } from './cluster/cluster.ts'
import { addClusterOptions, connectCluster, granted, isForCluster } from './cluster/cluster.ts'
import { escapeControls, toJsonLine } from './escape-controls.ts'
import { requestJson } from './operator-client.ts'
import { socketIn, stateOption } from './options/state.ts'

/** `shellcron agents`: the machines, whether each takes runs, and if not why. */

const agentSchema = z.object({
  kind: z.string(),
  metadata: z.object({ name: z.string() }),
  spec: z.object({ pool: z.string().default('default') }).prefault({}),
  status: z
    .object({
      conditions: z.array(condition.loose()).default([]),
      running: z.number().optional(),
      version: z.string().optional(),
    })
    .optional(),
})
type Agent = z.infer<typeof agentSchema>

export function addAgentsCommand(program: Command): void {
  const command = program
    .command('agents')
    .description('list the agents: pool, whether each takes runs, and if not why')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text'))
    .action(async (flags: { state?: string; output: 'text' | 'json' } & Partial<ClusterFlags>) => {
      const agents = flags.state === undefined ? await inCluster(flags) : await onSocket(flags.state)
      process.stdout.write(flags.output === 'json' ? toJsonLine(agents) : tableOf(agents))
      if (agents.length === 0) process.stderr.write('no agents found\n')
    })
  if (isForCluster(program)) addClusterOptions(command)
  else command.addOption(stateOption())
}

async function inCluster(flags: Partial<ClusterFlags>): Promise<Agent[]> {
  const { api } = await connectCluster(flags as ClusterFlags)
  const answer = await api.request({ path: '/apis/shellcron.dev/v1alpha1/shellagents' })
  const list = granted(answer, 'agents', 'this needs the right to list shellagents')
  const { items } = z.object({ items: z.array(z.unknown()) }).parse(list)
  return items.map(item => agentSchema.parse({ kind: 'ShellAgent', ...(item as object) })).sort(byName)
}

async function onSocket(state: string): Promise<Agent[]> {
  const answer = await requestJson(socketIn(state), { path: '/v1/objects?rows=0' })
  const { objects } = z.object({ objects: z.array(z.unknown()) }).parse(answer)
  const kinds = objects.filter(object => (object as { kind?: string }).kind === 'ShellAgent')
  return kinds.map(object => agentSchema.parse(object)).sort(byName)
}

function byName(a: Agent, b: Agent): number {
  return a.metadata.name < b.metadata.name ? -1 : 1
}

function tableOf(agents: readonly Agent[]): string {
  const rows = agents.map(({ metadata, spec, status }) => {
    const ready = status?.conditions.find(({ type }) => type === 'Ready')
    const why = ready && ready.status !== 'True' ? `${ready.reason}: ${ready.message}` : ''
    const counts = [String(status?.running ?? 0), status?.version ?? '-']
    return [metadata.name, spec.pool, ready?.status ?? 'Unknown', ...counts, why].map(escapeControls)
  })
  const all = [['NAME', 'POOL', 'READY', 'RUNNING', 'VERSION', 'WHY'], ...rows]
  const widths = all[0]?.map((_, column) => Math.max(...all.map(row => row[column]?.length ?? 0))) ?? []
  const line = (row: string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')
  return agents.length === 0 ? '' : all.map(row => `${line(row).trimEnd()}\n`).join('')
}
