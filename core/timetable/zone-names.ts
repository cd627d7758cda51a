/**
 * Names that Intl takes for time zones, but that the tz database does not have. ICU gives them meanings that surprise: its BST is in
 * Bangladesh, its CST in Chicago, its IST in India. Other programs refuse them, or mean something else.
 */
const ONLY_ICU = new Set(
  'ACT AET AGT ART AST BET BST CAT CNT CST CTT EAT ECT IET IST JST MIT NET NST PLT PNT PRT PST SST VST US/Pacific-New Canada/East-Saskatchewan'
    .toLowerCase()
    .split(' '),
)

export function isInTzDatabase(name: string): boolean {
  const key = name.toLowerCase()
  return !ONLY_ICU.has(key) && !key.startsWith('systemv/')
}

/** Zones that people mean by an abbreviation, or by another name that the tz database does not have. */
const MEANT: Readonly<Record<string, readonly string[]>> = {
  ACDT: ['Australia/Adelaide'],
  ACST: ['Australia/Darwin', 'Australia/Adelaide'],
  ACT: ['Australia/Sydney', 'America/Rio_Branco'],
  AEDT: ['Australia/Sydney'],
  AEST: ['Australia/Sydney', 'Australia/Brisbane'],
  AET: ['Australia/Sydney'],
  AGT: ['America/Argentina/Buenos_Aires'],
  AKST: ['America/Anchorage'],
  ART: ['America/Argentina/Buenos_Aires', 'Africa/Cairo'],
  AST: ['America/Halifax', 'Asia/Riyadh'],
  AWST: ['Australia/Perth'],
  BET: ['America/Sao_Paulo'],
  BRT: ['America/Sao_Paulo'],
  BST: ['Europe/London', 'Asia/Dhaka'],
  CAT: ['Africa/Maputo'],
  CDT: ['America/Chicago'],
  CEST: ['Europe/Berlin'],
  CNT: ['America/St_Johns'],
  CST: ['America/Chicago', 'Asia/Shanghai'],
  CTT: ['Asia/Shanghai'],
  EAT: ['Africa/Nairobi'],
  ECT: ['Europe/Paris', 'America/Guayaquil'],
  EDT: ['America/New_York'],
  EEST: ['Europe/Athens'],
  HKT: ['Asia/Hong_Kong'],
  IET: ['America/Indiana/Indianapolis'],
  IST: ['Asia/Kolkata', 'Europe/Dublin', 'Asia/Jerusalem'],
  JST: ['Asia/Tokyo'],
  KST: ['Asia/Seoul'],
  MDT: ['America/Denver'],
  MIT: ['Pacific/Apia'],
  MSK: ['Europe/Moscow'],
  NET: ['Asia/Yerevan'],
  NST: ['America/St_Johns', 'Pacific/Auckland'],
  NZST: ['Pacific/Auckland'],
  PDT: ['America/Los_Angeles'],
  PKT: ['Asia/Karachi'],
  PLT: ['Asia/Karachi'],
  PNT: ['America/Phoenix'],
  PRT: ['America/Puerto_Rico'],
  PST: ['America/Los_Angeles', 'Asia/Manila'],
  SGT: ['Asia/Singapore'],
  SST: ['Pacific/Pago_Pago', 'Pacific/Guadalcanal'],
  VST: ['Asia/Ho_Chi_Minh'],
  WEST: ['Europe/Lisbon'],
  'US/PACIFIC-NEW': ['America/Los_Angeles'],
  'CANADA/EAST-SASKATCHEWAN': ['America/Regina'],
  'SYSTEMV/AST4': ['America/Puerto_Rico'],
  'SYSTEMV/AST4ADT': ['America/Halifax'],
  'SYSTEMV/CST6': ['America/Regina'],
  'SYSTEMV/CST6CDT': ['America/Chicago'],
  'SYSTEMV/EST5': ['America/Panama'],
  'SYSTEMV/EST5EDT': ['America/New_York'],
  'SYSTEMV/HST10': ['Pacific/Honolulu'],
  'SYSTEMV/MST7': ['America/Phoenix'],
  'SYSTEMV/MST7MDT': ['America/Denver'],
  'SYSTEMV/PST8': ['Pacific/Pitcairn'],
  'SYSTEMV/PST8PDT': ['America/Los_Angeles'],
  'SYSTEMV/YST9': ['Pacific/Gambier'],
  'SYSTEMV/YST9YDT': ['America/Anchorage'],
}

/** The message for a name that is no time zone: suggests what was meant, or a zone with the same last part, as for "Shanghai". */
export function unknownZone(name: string): string {
  const meant = MEANT[name.toUpperCase()] ?? sameCity(name)
  const remedy =
    meant.length > 0
      ? `did you mean ${meant.map(zone => `"${zone}"`).join(' or ')}?`
      : 'use an IANA name such as "Asia/Shanghai" or "UTC"'
  return `time zone "${name}" is unknown; ${remedy}`
}

function sameCity(name: string): string[] {
  const city = name.slice(name.lastIndexOf('/') + 1).toLowerCase()
  const near = Intl.supportedValuesOf('timeZone').find(
    zone => city && zone.toLowerCase().endsWith(`/${city}`),
  )
  return near ? [near] : []
}
