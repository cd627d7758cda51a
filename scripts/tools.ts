/** Before `make test`: builds the servers that the tests start, once for this machine, so that no test waits for a compiler. */
import { etcdPrograms, kubernetesPrograms } from '../test/controlplane/binaries.ts'

await etcdPrograms()
await kubernetesPrograms()
