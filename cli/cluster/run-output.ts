import { followRun } from '../logs/follow.ts'
import { createPrinter } from '../logs/printer.ts'
import type { Cluster, ClusterFlags } from './cluster.ts'
import { operatorOf } from './operator.ts'

/** Prints the output of a run that has started, until it ends. */
export async function printOutput(
  cluster: Cluster,
  { run }: { run: string },
  flags: ClusterFlags,
): Promise<void> {
  const operator = await operatorOf(cluster, flags)
  const printer = createPrinter({ out: process, timestamps: false, prefixes: false })
  // The last attempt of each target.
  const choose = <T extends { run: string }>(all: T[]) => [
    ...new Map(all.map(each => [each.run, each])).values(),
  ]
  await followRun({ operator, printer }, run, { choose })
}
