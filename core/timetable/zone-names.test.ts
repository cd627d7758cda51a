import { expect, test } from 'vitest'
import { zoneOf } from './zone.ts'
import { unknownZone } from './zone-names.ts'

const ZONES = 'Europe/Berlin US/Pacific Asia/Calcutta EST MST HST CET EST5EDT GB PRC ROK Zulu Etc/GMT+5 UTC'

test('names of the tz database are zones, links and old names included', () => {
  for (const name of ZONES.split(' ')) expect(zoneOf(name), name).toBeDefined()
})

test('only those names of three letters are zones that the tz database has', () => {
  const names = Array.from({ length: 26 ** 3 }, (_, i) =>
    [i / 676, (i / 26) % 26, i % 26].map(n => String.fromCharCode(65 + Math.floor(n))).join(''),
  )
  const known = 'CET EET EST GMT HST MET MST PRC ROC ROK UCT UTC WET'
  expect(names.filter(name => zoneOf(name)).join(' ')).toBe(known)
})

test('each suggestion for an abbreviation is a zone', () => {
  for (const name of 'BST IST JST CST ACT AST ART SST NST ECT EDT CEST MSK SystemV/YST9 SystemV/PST8'.split(
    ' ',
  ))
    for (const [, zone = ''] of unknownZone(name).matchAll(/"([^"]*)"(?= or|\?)/g))
      expect(zoneOf(zone), `${name}: ${zone}`).toBeDefined()
})
