import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'
import { systemClock } from './clock.ts'

/** A certificate and its key (PKCS 8), both PEM. */
export interface KeyPair {
  cert: string
  key: string
}

type Usage = 'server' | 'client' | 'both'

/** The names in a certificate, its usage and its validity. */
export interface Subject {
  /** A client's name. It is never parsed, so any text is allowed. */
  commonName: string
  /** Groups, as Kubernetes reads them. */
  organizations?: string[]
  /** DNS names and IP addresses of a server. */
  names?: string[]
  usage: Usage
  /** Hours of validity from now. It never exceeds the authority's own. */
  hours: number
  /** ms since the epoch; default: now. */
  now?: number
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const HOUR = 3_600_000
/** Certificates are valid from 5 minutes ago, for machines whose clocks are behind. */
const EARLIER = 5 * 60_000

/** Creates a self-signed authority (ECDSA P-256) that signs end-entity certificates only. */
export async function createCa(of: { commonName: string; days: number; now?: number }): Promise<KeyPair> {
  const now = of.now ?? systemClock.now()
  const keys = await newKeys()
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: nameOf(of.commonName),
    notBefore: new Date(now - EARLIER),
    notAfter: new Date(now + of.days * 24 * HOUR),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: cert.toString('pem'), key: await pemOfKey(keys.privateKey) }
}

/** Creates a key, and a certificate for it from the authority. */
export async function issue(ca: KeyPair, subject: Subject): Promise<KeyPair> {
  const keys = await newKeys()
  return {
    cert: await certify(ca, keys.publicKey, subject),
    key: await pemOfKey(keys.privateKey),
  }
}

/**
 * Creates a certificate request, and a key for it unless one is given (PEM, PKCS 8). The authority may ignore the name in the request.
 */
export async function createCsr(commonName: string, given?: string): Promise<{ csr: string; key: string }> {
  const keys = given === undefined ? await newKeys() : await readKeys(given)
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: nameOf(commonName),
    keys,
    signingAlgorithm: ALGORITHM,
  })
  return { csr: request.toString('pem'), key: await pemOfKey(keys.privateKey) }
}

/**
 * Signs a certificate (PEM) for the key of a request. Everything but the key comes from `subject`, not from the request.
 * Throws if the request is malformed, or is not signed by its own key.
 */
export async function signCsr(ca: KeyPair, csr: string, subject: Subject): Promise<string> {
  const request = new x509.Pkcs10CertificateRequest(csr)
  if (!(await request.verify())) throw new Error('the certificate request is not signed by its own key')
  return certify(ca, await request.publicKey.export(), subject)
}

async function certify(ca: KeyPair, publicKey: webcrypto.CryptoKey, subject: Subject): Promise<string> {
  const authority = new x509.X509Certificate(ca.cert)
  const now = subject.now ?? systemClock.now()
  const notAfter = Math.min(now + subject.hours * HOUR, authority.notAfter.getTime())
  const names = (subject.names ?? []).map(value => ({
    type: isIP(value) ? ('ip' as const) : ('dns' as const),
    value,
  }))
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: nameOf(subject.commonName, subject.organizations),
    issuer: authority.subjectName,
    notBefore: new Date(Math.max(now - EARLIER, authority.notBefore.getTime())),
    notAfter: new Date(notAfter),
    signingAlgorithm: ALGORITHM,
    publicKey,
    signingKey: await readKey(ca.key),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(purposes(subject.usage)),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(authority),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  })
  return cert.toString('pem')
}

function purposes(usage: Usage): string[] {
  const { serverAuth, clientAuth } = x509.ExtendedKeyUsage
  return usage === 'both' ? [serverAuth, clientAuth] : [usage === 'server' ? serverAuth : clientAuth]
}

/** Built from data, not from text, so that no character in a name can add a second field. */
function nameOf(commonName: string, organizations: string[] = []): x509.Name {
  return new x509.Name([
    ...organizations.map(value => ({ O: [{ utf8String: value }] })),
    { CN: [{ utf8String: commonName }] },
  ])
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
}

function newSerial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16))
  // A serial number is a positive integer: its first bit is 0, and its first byte is not.
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return Buffer.from(bytes).toString('hex')
}

async function pemOfKey(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')
}

async function readKeys(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const privateKey = await importKey(pem, true)
  const { d: _, key_ops: __, ...jwk } = await webcrypto.subtle.exportKey('jwk', privateKey)
  return { privateKey, publicKey: await webcrypto.subtle.importKey('jwk', jwk, ALGORITHM, true, ['verify']) }
}

function readKey(pem: string): Promise<webcrypto.CryptoKey> {
  return importKey(pem, false)
}

async function importKey(pem: string, extractable: boolean): Promise<webcrypto.CryptoKey> {
  const [der] = x509.PemConverter.decode(pem)
  if (!der) throw new Error('the private key is not a PEM block')
  return webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, extractable, ['sign'])
}
