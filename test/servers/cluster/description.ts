import { renameSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What other processes need to use a running cluster. It is a file in the cluster's directory, written anew when a node restarts. */
export interface Description {
  kubeconfig: string
  /** The first process of the control plane's namespaces. */
  controlPlane: number
  nodes: Record<string, NodeDescription>
}

export interface NodeDescription {
  /** The first process of its namespaces. */
  pid: number
  address: string
  /** Its files, among them the logs. */
  dir: string
}

const fileIn = (dir: string) => join(dir, 'cluster.json')

export async function readDescription(dir: string): Promise<Description> {
  return JSON.parse(await readFile(fileIn(dir), 'utf8')) as Description
}

/** At once, because two nodes may become known at the same time. */
export function writeDescription(dir: string, of: Description): void {
  writeFileSync(`${fileIn(dir)}.new`, JSON.stringify(of))
  renameSync(`${fileIn(dir)}.new`, fileIn(dir))
}
