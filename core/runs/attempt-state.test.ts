import { describe, expect, test } from 'vitest'
import { type RunEvent, type RunState, stepRun } from './attempt-state.ts'

const armed: RunState = { phase: 'armed' }
const running: RunState = { phase: 'running' }
const cancelled = { type: 'ended', end: { kind: 'cancelled' } } as const
const done = { type: 'ended', end: { kind: 'exited', code: 0 } } as const

function after(state: RunState, ...events: RunEvent[]) {
  let step = stepRun(state, events[0] as RunEvent)
  for (const event of events.slice(1)) step = stepRun(step.state, event)
  return step
}

describe('an attempt', () => {
  test('starts, ends, and is concluded with its end', () => {
    expect(after(armed, { type: 'started' }).state).toEqual(running)
    expect(after(armed, { type: 'started' }, done)).toEqual({
      state: { phase: 'ended' },
      order: { do: 'conclude', end: done.end },
    })
  })
  test('that is edited before its start is cancelled, and armed again only if it never started', () => {
    expect(after(armed, { type: 'edited' }).order).toEqual({ do: 'cancel' })
    expect(after(armed, { type: 'edited' }, cancelled)).toEqual({ state: armed, order: { do: 'rearm' } })
  })
  test('that started before the cancel continues, and its real end is recorded', () => {
    const step = after(armed, { type: 'edited' }, { type: 'started' })
    expect(step).toEqual({ state: running, order: { do: 'nothing' } })
    expect(stepRun(step.state, done).order).toEqual({ do: 'conclude', end: done.end })
  })
  test('whose end arrives before the news of its start is not armed again', () => {
    expect(after(armed, { type: 'edited' }, done).order).toEqual({ do: 'conclude', end: done.end })
  })
  test('that is withdrawn before its start is Cancelled with the later reason', () => {
    const step = after(armed, { type: 'edited' }, { type: 'withdrawn', why: 'Suspended' }, cancelled)
    expect(step.order).toEqual({ do: 'conclude', end: { kind: 'cancelled', reason: 'Suspended' } })
  })
  test('that has started ignores edits and withdrawals, but not a kill', () => {
    expect(after(running, { type: 'edited' })).toEqual({ state: running, order: { do: 'nothing' } })
    expect(after(running, { type: 'withdrawn', why: 'Deleted' }).order).toEqual({ do: 'nothing' })
    expect(after(running, { type: 'kill', reason: 'Replaced' }).order).toEqual({
      do: 'kill',
      reason: 'Replaced',
    })
  })
  test('that the launcher refuses never started', () => {
    expect(after(armed, { type: 'refused', reason: 'Fenced' }).order).toEqual({
      do: 'conclude',
      end: { kind: 'lost', reason: 'Fenced' },
    })
  })
})

test('an end is final: later events change nothing', () => {
  const events: RunEvent[] = [
    { type: 'started' },
    done,
    { type: 'refused', reason: 'x' },
    { type: 'edited' },
    { type: 'withdrawn', why: 'Deleted' },
    { type: 'kill', reason: 'x' },
  ]
  for (const event of events)
    expect(stepRun({ phase: 'ended' }, event)).toEqual({
      state: { phase: 'ended' },
      order: { do: 'nothing' },
    })
})
