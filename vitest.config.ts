import { defineConfig } from 'vitest/config'

// Most of the time tests wait, for an etcd, a command, the next second: three at once keep two cores busy, and do not choke them.
const maxWorkers = 3

// Projects: `unit` beside the code needs nothing but Node; `server` under test/ starts real servers; `cluster` takes minutes on a Kubernetes with
// nodes (`make cluster-test`); `real-server` installs the package on a real Debian (`make server-test`). `server` and `cluster` start one cluster
// each, if a test asks for it.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{core,platform,store,operator,agent,cli,scripts}/**/*.test.ts'],
          testTimeout: 120_000,
          maxWorkers,
        },
      },
      {
        test: {
          name: 'server',
          include: ['test/{architecture,contract,integration,fault,e2e,servers}/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          pool: 'forks',
          globalSetup: 'test/servers/cluster/shared.ts',
          maxWorkers,
        },
      },
      {
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          pool: 'forks',
          globalSetup: 'test/servers/cluster/shared.ts',
          // A test may restart a node.
          fileParallelism: false,
          maxWorkers: 1,
        },
      },
      {
        test: {
          name: 'real-server',
          include: ['test/server/**/*.test.ts'],
          // An emulated machine is ten times as slow.
          testTimeout: 900_000,
          hookTimeout: 1_200_000,
          pool: 'forks',
          maxWorkers: 1,
        },
      },
    ],
  },
})
