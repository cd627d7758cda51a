import type { LogStore } from '../../store/log/port.ts'
import type { Authority } from '../identity/authority.ts'
import type { LeaderTask } from '../operator.ts'
import type { OperatorConfig } from '../startup/config.ts'
import { untilAborted } from '../until-aborted.ts'
import type { OutputNotifier } from './output-notifier.ts'
import { createOwners } from './owners.ts'
import { serveIngest } from './server.ts'
import { createStorePieces } from './store-pieces.ts'

/** How long the server's certificate is valid, h. It gets a new one at each start. */
const CERTIFICATE_HOURS = 24 * 365

/** Serves the ingest while the operator leads. */
export function startIngest(of: {
  ingest: NonNullable<OperatorConfig['ingest']>
  authority: Authority
  store: LogStore
  notifier: OutputNotifier
}): LeaderTask {
  return async ({ log, mirrors, keys }, signal) => {
    const { store, notifier } = of
    const owners = createOwners({ mirrors, keys, store })
    const storePieces = createStorePieces({ store, owners, notifier, log })
    const { names, listen } = of.ingest
    const pair = await of.authority.server(names, CERTIFICATE_HOURS)
    const tls = { ca: of.authority.caCert, ...pair }
    const ingest = await serveIngest({ listen, tls, storePieces, isValid: mirrors.isValid, log })
    log.info({ port: ingest.port }, 'ingest.ready')
    await untilAborted(signal)
    await ingest.close()
  }
}
