/** `make cluster-images`: builds the chart's images and loads them on the nodes of `make cluster`. */
import { fileURLToPath } from 'node:url'
import { loadChartImages } from '../test/fixtures/chart-images.ts'
import { attachCluster } from '../test/servers/cluster/attach.ts'

const LINK = fileURLToPath(new URL('../.shellcron/cluster', import.meta.url))

const cluster = await attachCluster(LINK).catch(() => {
  throw new Error('no cluster is up: start one with `make cluster`')
})
const values = await loadChartImages(cluster, LINK)
process.stdout.write(`The nodes have the images. Their names, for helm's --values, are in ${values}\n`)
