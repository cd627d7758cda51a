/** The files of an agent's identity directory, all PEM: enrolment writes them, the agent reads them. */
export const IDENTITY_FILES = {
  ca: 'ca.crt',
  cert: 'tls.crt',
  key: 'tls.key',
  operatorKey: 'operator.pub',
  poolKey: 'pool.key',
} as const
