#!/usr/bin/env python3
"""Explicit-state model of the protocol in docs/protocol.md: claim, finish, burial, fence, edits and the operator's sweep.

RULES are the rules of that page that this model shows to be necessary. With all rules, no search finds a violation. Without
any one of them (except POLL), a search finds a violation and prints a shortest trace to it.

Usage (Python 3.8 or later, no packages, one core, less than 1 GB of memory):

  python3 protocol_model.py                     each rule removed in turn, then all rules under every policy and fault
  python3 protocol_model.py written             no rules at all: the first trace for each check
  python3 protocol_model.py without RULE [POLICY CATCHUP BACKOFF]
                                                one rule removed; for example: without CAS
  python3 protocol_model.py one POLICY CATCHUP BACKOFF FAULTS [FIRES [EDIT,...]]
                                                all rules, one search; for example: one Forbid Latest 1 crashedit
  python3 protocol_model.py handover            small model: the registration moves between leases
  python3 protocol_model.py operator            small model: two leaders drain the outbox

The first form takes about twenty minutes. Each of its searches stops after 400,000 states or 60 seconds and then says that it
was cut off; the other forms have limits of their own. The exit status is 1 if a search with all rules finds a violation, or
if a search without a rule finds none.

What is modelled
  One job with a few fires (T = 1..nf, ticks of a logical clock) in mode One. Two agents, each with a launcher. One operator.
  - A normal step is "transaction sent, applied and answered" at once. The agent acts on its *cached* view of entry and cell,
    so every stale read is covered.
  - An ambiguous answer is the fault `late`: the request is applied or dropped at any later time, after the sender has read
    again and moved on. "Applied, then the sender crashes" is a claim followed by a crash.
  - The lease: cut -> fence (the launcher kills) -> lease ends (registration gone). The end may be delayed for ever, as by a
    change of etcd's leader. A reconnect before it resumes the session.
  - Faults have budgets: crash, reboot, cut, late, edit, stale operator, clock.
  - The fault `clock`: the clock of all processes jumps two ticks ahead, and is set right at any later time. A tick is longer than
    the three beacons in which the operator looks, so without EPOCH the next time comes, and with it the operator looks first.
    A fire of clock epoch e has the number T + e * (nf + 1).

What is not modelled
  Replace, Shards and All (each target has a cell of its own), maxParallel, ShellRun requests, moves between pools, real time,
  retries after Failed, restored snapshots, clocks that differ from each other, onDisconnect: Continue.

Checks
  In every state:
    DUP      backoffLimit is 0 and one T was started twice
    TWO      one T has two final outcomes
    OVERLAP  Forbid, and two processes live
    ALIVE    a process lives and its `active` entry is gone
    STALE    a claim succeeded for a generation that the user had already replaced
    OVERDUE  catchUp is None, and a first attempt was armed after its T had closed
  In states in which nothing more must happen, with a connected agent:
    MISSING  a T that was due has no outcome and no attempt; one from a clock that was ahead by more than the lead does not count
    STUCK    an attempt stays in `active` or in the cell for ever

The search is breadth first, so each trace is a shortest one.
"""

import sys
import time
from collections import deque, namedtuple

RULES = ('CAS', 'GAP', 'SWEEP', 'EDITS', 'BURYLVL', 'ADOPT', 'RECON', 'INST', 'DROP', 'KILL', 'POLL', 'OPCAS', 'LATE', 'EPOCH')
WHAT = dict(
    CAS='finish and burial compare the revision of the cell',
    GAP='times are settled in order; a process that passes over one records its outcome',
    SWEEP='the operator settles what nobody claimed by the deadline',
    EDITS='an edit that changes which times exist: the old entry is suspended, the cells are settled, the new entry is put',
    BURYLVL='burial looks at what is there, and includes the own older sessions of an agent',
    ADOPT='a retry is an entry in active/, put by the transaction that ends the attempt before',
    RECON='an own entry that neither memory nor launcher knows is settled as Lost',
    INST='an agent that resumes starts a claimed run only if the launcher is the same instance',
    DROP='the fence drops armed runs',
    KILL='the fence is SIGKILL, without grace',
    POLL='a waiting time reads its cell again (without it nothing is lost: the time starts late or is skipped)',
    OPCAS='the operator writes job entries only over the revision that it knows',
    LATE='a claimed time is judged again by catchUp before it is armed; a closed one ends as Missed',
    EPOCH='used times that are ahead of the clock begin a new clock epoch: suspended, frontier set back to now, new ids',
)

# The whole state.
#   now     the clock
#   job     the entry: (revision, generation, suspended, scheduleChangedAt, clock epoch)
#   cell    (revision, lastFire, active {(T, attempt)})
#   regs    for each agent the session of its registration; 0: none
#   acts    active/: {(agent, T, attempt, session, generation, launcher instance)}
#   res     results/: {(T, attempt, outcome)}
#   late    for each agent a request that is under way: (T, attempt, view at the time of sending); 0: none
#   ags     the agents; lns their launchers
#   links   for each agent: ok, cut (no keepalives) or fenced (the launcher has killed)
#   fin     how many final outcomes each T has; starts: how often it was started (both stop counting at 2)
#   req     the times that were due while the job was in force: they must have an outcome
#   bud     the budgets that are left
#   truth   what the user wants: (generation, suspended); 'stale' after a claim that contradicts it,
#           'overdue' after an arm of a closed T
#   store   an edit that the operator is in the middle of: (settle up to, kind, whether a new clock epoch begins); 0: none
#   skew    how far the clock is ahead
#   early   the fires that were used while their T was more than the lead ahead of the real time
St = namedtuple('St', 'now job cell regs acts res late ags lns links fin starts req bud truth store skew early')
# An agent: kj and kc are the entry and the cell as it knows them, toarm what it will hand to its launcher, todo whether it
# saw the other one die, retry a retry in its memory (only without ADOPT).
Ag = namedtuple('Ag', 'up sess kj kc toarm todo retry')
# A launcher: runs {(T, attempt, generation, state)}; state is armed, running, term (was sent SIGTERM), or how it ended:
# S(ucceeded), L(ost), C(ancelled), M(issed).
Ln = namedtuple('Ln', 'inst fenced runs')


class Model:
    """The transitions and checks. Parameters of the methods: m the model, s a state, a an agent (0 or 1), T a fire."""

    def __init__(
        m, policy='Allow', catchup='Latest', backoff=0, rules=RULES, nf=2, bud=(1, 1, 1, 1, 1, 0), edits=('suspend',)
    ):
        m.policy, m.catchup, m.backoff, m.F, m.nf, m.edits = policy, catchup, backoff, set(rules), nf, edits
        m.end = nf + 2
        m.bud = tuple(bud) + (0,) * (7 - len(bud))
        m.S = nf + 1

    def init(m):
        job = (1, 1, 0, 0, 0)
        ids = m.S * (1 + m.bud[6])
        cell = (0, 0, frozenset())
        ag = lambda: Ag(1, 1, job, cell, frozenset(), 0, 0)
        ln = lambda: Ln(1, 0, frozenset())
        return St(
            0,
            job,
            cell,
            (1, 1),
            frozenset(),
            frozenset(),
            (0, 0),
            (ag(), ag()),
            (ln(), ln()),
            ('ok', 'ok'),
            (0,) * ids,
            (0,) * ids,
            frozenset(),
            m.bud,
            (1, 0),
            0,
            0,
            frozenset(),
        )

    # -- fires
    def fire(m, T, job):
        """The number of the fire at T under this entry."""
        return T + m.S * job[4]

    def at(m, i):
        """The T of a fire."""
        return i % m.S

    def clock(m, s):
        return s.now + s.skew

    def used(m, s, i):
        """Fire i is claimed or settled now."""
        return s._replace(early=s.early | {i}) if m.at(i) > s.now + 1 else s

    def ahead(m, s):
        """Used times are ahead of the clock by more than the lead."""
        until = s.store[0] if s.store else 0
        return s.skew == 0 and max(s.cell[1], s.job[3], until) > s.now + 1

    # -- changes of a part of the state
    def setag(m, s, a, **k):
        l = list(s.ags)
        l[a] = l[a]._replace(**k)
        return s._replace(ags=tuple(l))

    def setln(m, s, a, **k):
        l = list(s.lns)
        l[a] = l[a]._replace(**k)
        return s._replace(lns=tuple(l))

    def link(m, s, a, v):
        l = list(s.links)
        l[a] = v
        return s._replace(links=tuple(l))

    def reg(m, s, a, v):
        l = list(s.regs)
        l[a] = v
        return s._replace(regs=tuple(l))

    def spend(m, s, i):
        b = list(s.bud)
        b[i] -= 1
        return s._replace(bud=tuple(b))

    def inc(m, t, i):
        l = list(t)
        l[i] = min(l[i] + 1, 2)
        return tuple(l)

    def reread(m, s, a):
        """The agent reads entry and cell. An own run in the cell is its own, even if the answer to the claim was lost."""
        return m.setag(s, a, kj=s.job, kc=s.cell)

    def final(m, s, T, o):
        return s._replace(fin=m.inc(s.fin, T))

    def claimtxn(m, s, a, T, att, p):
        """The claim. p is (session, entry, cell) as known when it was sent. Returns (succeeded, state)."""
        sess, kj, kc = p
        if s.job[0] != kj[0] or s.cell[0] != kc[0] or s.regs[a] != sess:
            return False, s
        cell = (s.cell[0] + 1, max(s.cell[1], m.at(T)), s.cell[2] | {(T, att)})
        s = m.used(s, T)
        s = s._replace(cell=cell, acts=s.acts | {(a, T, att, sess, kj[1], s.lns[a].inst)})
        if s.truth != (kj[1], kj[2]):
            s = s._replace(truth=('stale', T))
        return True, s

    def endattempt(m, s, who, e, outcome):
        """Finish or burial of entry e by agent `who`. Without CAS it writes back the cell as it knew it."""
        a, T, att, sess, gen, inst = e
        ag = s.ags[who]
        if 'CAS' in m.F:
            if s.cell[0] != ag.kc[0]:
                return m.reread(s, who)  # the comparison failed: read, try again
            base = s.cell
        else:
            base = ag.kc
        act = base[2] - {(T, att)}
        retry = outcome == 'L' and att <= m.backoff and s.job[2] == 0 and T // m.S == s.job[4]
        s = s._replace(acts=s.acts - {e}, res=s.res | {(T, att, outcome)})
        if retry and 'ADOPT' in m.F:
            act = act | {(T, att + 1)}
            s = s._replace(acts=s.acts | {(who, T, att + 1, ag.sess, gen, s.lns[who].inst)})
            s = m.setag(s, who, toarm=s.ags[who].toarm | {(T, att + 1, gen)})
        elif retry:
            s = m.setag(s, who, retry=(T, att + 1))
        else:
            s = m.final(s, T, outcome)
        cell = (s.cell[0] + 1, base[1], act)
        s = s._replace(cell=cell)
        return m.setag(s, who, kc=cell)

    def due(m, s, a):
        """What the agent would do, by its own view: (T, 'run') or (T, 'miss')."""
        ag = s.ags[a]
        j = ag.kj
        if j[2]:
            return
        lead = 1 if a == 0 else 0
        now = m.clock(s)
        pend = [T for T in range(1, m.nf + 1) if T > max(ag.kc[1], j[3]) and T <= now + lead]
        for i, T in enumerate(pend):
            newer = [x for x in pend[i + 1 :] if x <= now]
            if m.catchup == 'None' and now > T + 1:
                v = 'miss'
            elif m.catchup == 'Latest' and newer:
                v = 'miss'
            else:
                v = 'run'
            if v == 'run' and m.policy == 'Forbid' and ag.kc[2]:
                v = 'wait' if T <= now else None
            if v == 'wait':
                v = 'miss' if newer or now >= m.end else None  # Skipped
            if v:
                yield T, v
            if 'GAP' in m.F:
                return

    def steps(m, s):
        """All transitions from a state: (label, next state, whether it must happen some time)."""
        F = m.F
        now = m.clock(s)
        if s.now < m.end and not ('EPOCH' in F and m.ahead(s) and not (s.store and s.store[2])):
            n = s.now + 1
            r = s
            if n <= m.nf and not s.skew and not s.truth[1] and s.truth[0] != 'stale':
                r = r._replace(req=r.req | {n})
            yield f'tick {n}', r._replace(now=n), 1
        for a in (0, 1):
            ag, ln, lk = s.ags[a], s.lns[a], s.links[a]
            o = 1 - a
            on = ag.up and lk == 'ok' and ag.sess
            if on:
                if ag.kj[0] != s.job[0]:  # the watch tells of an edit
                    r = m.setag(s, a, kj=s.job)
                    if s.job[1] != ag.kj[1] or s.job[4] != ag.kj[4]:
                        runs = frozenset((T, t, g, 'C' if st == 'armed' else st) for T, t, g, st in ln.runs)
                        canc = frozenset((T, t, g, 'C') for T, t, g in ag.toarm)
                        r = m.setln(m.setag(r, a, toarm=frozenset()), a, runs=runs | canc)
                    yield f'A{a} sees edit', r, 1
                if ag.kc != s.cell and 'POLL' in F:
                    yield f'A{a} re-reads the cell', m.reread(s, a), 1
                for due, v in m.due(s, a):
                    T = m.fire(due, ag.kj)
                    p = (ag.sess, ag.kj, ag.kc)
                    if v == 'run':
                        ok, r = m.claimtxn(s, a, T, 1, p)
                        if ok:
                            r = m.setag(r, a, kc=r.cell, toarm=ag.toarm | {(T, 1, ag.kj[1])})
                        else:
                            r = m.reread(s, a)
                        yield f'A{a} claims T{T}: {"ok" if ok else "refused, re-reads"}', r, 1
                        if s.bud[3] and not s.late[a]:
                            l = list(s.late)
                            l[a] = (T, 1, p)
                            yield f'A{a} claims T{T}: no answer, not applied yet; re-reads', m.reread(
                                m.spend(s, 3)._replace(late=tuple(l)), a
                            ), 0
                    else:
                        if s.job[0] != ag.kj[0] or s.cell[0] != ag.kc[0] or s.regs[a] != ag.sess:
                            yield f'A{a} records Missed T{T}: refused', m.reread(s, a), 1
                        else:
                            c = (s.cell[0] + 1, due, s.cell[2])
                            r = m.final(m.used(s, T)._replace(cell=c, res=s.res | {(T, 0, 'M')}), T, 'M')
                            yield f'A{a} records Missed/Skipped T{T}', m.setag(r, a, kc=c), 1
                if ag.retry:
                    T, t = ag.retry
                    ok, r = m.claimtxn(s, a, T, t, (ag.sess, ag.kj, ag.kc))
                    if ag.kj[2] == 0:
                        if ok:
                            r = m.setag(r, a, kc=r.cell, retry=0, toarm=ag.toarm | {(T, t, ag.kj[1])})
                        else:
                            r = m.reread(s, a)
                        yield f'A{a} retries T{T}/{t}', r, 1
                known = {(T, t) for T, t, g in ag.toarm} | {(T, t) for T, t, g, st in ln.runs}
                for e in s.acts:
                    if e[0] == a and e[3] == ag.sess:
                        hit = [x for x in ln.runs if x[:2] == e[1:3] and x[3] in 'SLCM']
                        if hit:
                            if s.regs[a] == ag.sess:
                                r = m.endattempt(s, a, e, hit[0][3])
                                if e not in r.acts:
                                    r = m.setln(r, a, runs=r.lns[a].runs - {hit[0]})
                                yield f'A{a} finishes T{e[1]}/{e[2]} {hit[0][3]}', r, 1
                        elif (e[1], e[2]) not in known and 'RECON' in F:
                            yield f'A{a} settles its unknown T{e[1]}/{e[2]} as Lost', m.endattempt(s, a, e, 'L'), 1
                    elif s.regs[e[0]] != e[3] and ('BURYLVL' in F or (e[0] == o and ag.todo)):
                        yield f'A{a} buries A{e[0]} T{e[1]}/{e[2]}', m.endattempt(s, a, e, 'L'), 1
                for x in ln.runs:  # the entry of an ended run is gone: it was buried
                    if x[3] in 'SLCM' and not any(e[0] == a and e[1:3] == x[:2] for e in s.acts):
                        yield f'A{a} drops superseded T{x[0]}/{x[1]}', m.setln(s, a, runs=ln.runs - {x}), 1
            if ag.up and ag.sess:
                for x in ag.toarm:
                    r = m.setag(s, a, toarm=ag.toarm - {x})
                    overdue = m.catchup == 'None' and x[1] == 1 and now > m.at(x[0]) + 1
                    if x[0] // m.S < ag.kj[4]:
                        yield f'A{a} does not arm T{x[0]} of an earlier epoch', m.setln(r, a, runs=ln.runs | {x + ('C',)}), 1
                    elif overdue and 'LATE' in F:
                        yield f'A{a} judges T{x[0]} again: Missed', m.setln(r, a, runs=ln.runs | {x + ('M',)}), 1
                    elif ln.fenced:
                        yield f'A{a} arm T{x[0]} refused by fence', m.setln(r, a, runs=ln.runs | {x + ('L',)}), 1
                    else:
                        r = m.setln(r, a, runs=ln.runs | {x + ('armed',)})
                        if overdue:
                            r = r._replace(truth=('overdue', x[0]))
                        yield f'A{a} arms T{x[0]}/{x[1]}', r, 1
            for x in ln.runs:
                rest = ln.runs - {x}
                if x[3] == 'armed' and now >= m.at(x[0]) and not ln.fenced:
                    yield f'L{a} starts T{x[0]}/{x[1]}', m.setln(s, a, runs=rest | {x[:3] + ('running',)})._replace(
                        starts=m.inc(s.starts, x[0])
                    ), 1
                if x[3] == 'running':
                    yield f'L{a} T{x[0]}/{x[1]} exits 0', m.setln(s, a, runs=rest | {x[:3] + ('S',)}), 1
                if x[3] == 'term':
                    yield f'L{a} T{x[0]}/{x[1]} dies', m.setln(s, a, runs=rest | {x[:3] + ('L',)}), 1
            # A delayed request reaches etcd, or never does.
            if s.late[a]:
                T, t, p = s.late[a]
                l = list(s.late)
                l[a] = 0
                z = s._replace(late=tuple(l))
                ok, r = m.claimtxn(z, a, T, t, p)
                if ok:
                    yield f'etcd applies A{a}\'s late claim of T{T}', r, 1
                yield f'A{a}\'s late claim is dropped', z, 1
            # Faults, and the lease.
            if ag.up and s.bud[0]:
                dead = Ag(0, 0, ag.kj, ag.kc, frozenset(), 0, 0)
                l = list(s.ags)
                l[a] = dead
                yield f'A{a} is SIGKILLed', m.link(
                    m.spend(s, 0)._replace(ags=tuple(l)), a, 'cut' if lk == 'ok' else lk
                ), 0
            if s.bud[1] and s.links[a] != 'gone':
                dead = Ag(0, 0, ag.kj, ag.kc, frozenset(), 0, 0)
                l = list(s.ags)
                l[a] = dead
                q = list(s.lns)
                q[a] = Ln(ln.inst + 1, 1, frozenset())
                yield f'machine {a} reboots', m.link(m.spend(s, 1)._replace(ags=tuple(l), lns=tuple(q)), a, 'fenced'), 0
            if lk == 'ok' and s.bud[2]:
                yield f'A{a} cut from etcd', m.link(m.spend(s, 2), a, 'cut'), 0
            if lk == 'cut':
                new = set()
                for T, t, g, st in ln.runs:
                    if st == 'running':
                        st = 'L' if 'KILL' in F else 'term'
                    elif st == 'armed' and 'DROP' in F:
                        st = 'L'
                    new.add((T, t, g, st))
                yield f'L{a} fences', m.link(m.setln(s, a, fenced=1, runs=frozenset(new)), a, 'fenced'), 1
            if lk in ('fenced',) and s.regs[a]:
                r = m.reg(s, a, 0)
                if s.ags[o].up:
                    r = m.setag(r, o, todo=1)
                yield f'lease of A{a} ends', r, 1
            if lk in ('cut', 'fenced') and ag.up:  # reconnects
                if s.regs[a] == ag.sess:
                    yield f'A{a} reconnects, same session', m.link(m.setln(s, a, fenced=0), a, 'ok'), 0
                elif s.regs[a] == 0 and lk == 'fenced':
                    n = ag.sess + 1
                    r = m.setag(m.reg(s, a, n), a, sess=n, toarm=frozenset(), retry=0, kj=s.job, kc=s.cell)
                    yield f'A{a} reconnects, new session', m.link(m.setln(r, a, fenced=0), a, 'ok'), 0
            if not ag.up:  # restarts
                mine = [e for e in s.acts if e[0] == a]
                sess = s.regs[a]
                kn = {x[:2] for x in ln.runs}
                if sess:
                    todo = frozenset(
                        (e[1], e[2], e[4])
                        for e in mine
                        if e[3] == sess and (e[1], e[2]) not in kn and ('INST' not in F or e[5] == ln.inst)
                    )
                    what = 'resumes its session'
                else:
                    if lk != 'fenced':
                        continue
                    sess = max([e[3] for e in s.acts if e[0] == a] + [1]) + 1
                    todo = frozenset()
                    what = 'gets a new session'
                r = m.setag(m.reg(s, a, sess), a, up=1, sess=sess, kj=s.job, kc=s.cell, toarm=todo)
                yield f'A{a} restarts, {what}', m.link(m.setln(r, a, fenced=0), a, 'ok'), 0
        # The operator.
        if s.bud[4] and s.truth[0] != 'stale':
            for e in m.edits:
                rev, gen, su, si, ep = s.job
                r = m.spend(s, 4)
                j = (rev + 1, gen + 1, 1 if e in ('suspend', 'delete') else 0, now if e == 'reschedule' else si, ep)
                r = r._replace(job=j, truth=(gen + 1, j[2]))
                # First the old entry suspended, then the cells settled, then (reschedule) the new entry.
                if s.store:  # a new clock epoch begins: this edit ends with it
                    kind = s.store[1] if e == 'template' else e
                    r = r._replace(job=(rev + 1, gen + 1, 1, si, ep), store=(s.store[0], kind, s.store[2]))
                elif 'EDITS' in F and e != 'template':
                    r = r._replace(job=(rev + 1, gen + 1, 1, si, ep), store=(now, e, 0))
                yield f'operator: {e}', r, 0
        if s.bud[5] and s.job[1] == 2:
            r = m.spend(s, 5)
            if 'OPCAS' not in F:
                r = r._replace(job=(s.job[0] + 1, 1, 0, 0, 0))
            yield 'paused old operator leader writes generation 1', r, 0
        if s.bud[6] and not s.skew:
            yield 'the clock jumps ahead', m.spend(s, 6)._replace(skew=2), 0
        if s.skew:
            # A time within the lead of the real one is not early any more.
            early = frozenset(i for i in s.early if m.at(i) > s.now + 1)
            yield 'the clock is set right', s._replace(skew=0, early=early), 1
        if 'EPOCH' in F and m.ahead(s) and not (s.store and s.store[2]):
            e = s.store[1] if s.store else 'suspend' if s.job[2] else 'epoch'
            rev, gen, su, si, ep = s.job
            yield 'operator: times are ahead, suspends', s._replace(
                job=(rev + 1, gen, 1, si, ep), store=(s.now, e, 1)
            ), 1
        elif s.store:
            until, e, begins = s.store
            T = s.cell[1] + 1
            if T <= min(until, m.nf):
                i = m.fire(T, s.job)
                yield f'operator settles T{T}: Missed', m.final(
                    m.used(s, i)._replace(cell=(s.cell[0] + 1, T, s.cell[2]), res=s.res | {(i, 0, 'M')}), i, 'M'
                ), 1
            elif begins and s.cell[1] > until + 1:
                yield 'operator sets the frontier back', s._replace(cell=(s.cell[0] + 1, until, s.cell[2])), 1
            else:
                rev, gen, su, si, ep = s.job
                su = 1 if e in ('suspend', 'delete') else 0
                j = (rev + 1, gen, su, until, ep + begins) if begins or not su else s.job
                yield 'operator: settled' + ('' if j == s.job else ', puts the new entry'), s._replace(store=0, job=j), 1
        if 'SWEEP' in F and now >= m.end and not s.job[2]:
            T = s.cell[1] + 1
            if T <= m.nf and not s.cell[2] and T > s.job[3]:
                i = m.fire(T, s.job)
                yield f'operator sweeps T{T}: Missed', m.final(
                    m.used(s, i)._replace(cell=(s.cell[0] + 1, T, s.cell[2]), res=s.res | {(i, 0, 'M')}), i, 'M'
                ), 1

    def bad(m, s):
        """The check that fails in this state, whatever happens next."""
        if s.truth[0] == 'stale':
            return 'STALE'
        if s.truth[0] == 'overdue':
            return f'OVERDUE T{s.truth[1]}'
        for T in range(1, len(s.fin)):
            if m.backoff == 0 and s.starts[T] > 1:
                return f'DUP T{T}'
            if s.fin[T] > 1:
                return f'TWO outcomes T{T}'
        live = [(a, x) for a in (0, 1) for x in s.lns[a].runs if x[3] in ('running', 'term')]
        if m.policy == 'Forbid' and len(live) > 1:
            return 'OVERLAP'
        for a, x in live:
            if not any(e[0] == a and e[1:3] == x[:2] for e in s.acts):
                return f'ALIVE after burial T{x[0]}/{x[1]}'

    def badend(m, s):
        """The check that fails in a state in which nothing more must happen."""
        if not any(g.up and l == 'ok' for g, l in zip(s.ags, s.links)):
            if not ('SWEEP' not in m.F and not any(s.acts)):
                return None
        for T in sorted(s.req):
            fires = [i for i in range(T, len(s.fin), m.S) if i not in s.early]
            if not any(s.fin[i] for i in fires) and not any(e[1] in fires for e in s.acts):
                return f'MISSING T{T}'
        if s.acts or s.cell[2]:
            return 'STUCK active ' + str(sorted((e[:3]) for e in s.acts) or sorted(s.cell[2]))

    def search(m, limit=700000, secs=110, kinds=None):
        """Breadth first. Returns (violations with traces, states seen, cut off). kinds: go on after the first violation."""
        t0 = time.time()
        s0 = m.init()
        par = {s0: None}
        q = deque([s0])
        found = {}
        while q:
            s = q.popleft()
            man = False
            for lab, r, must in m.steps(s):
                man |= bool(must) and r != s
                if r not in par:
                    par[r] = (s, lab)
                    b = m.bad(r)
                    if b:
                        k = b.split()[0]
                        if k not in found:
                            found[k] = (b, m.trace(par, r))
                        if not kinds:
                            return found, len(par), False
                        continue
                    q.append(r)
            if not man:
                b = m.badend(s)
                if b:
                    k = b.split()[0]
                    if k not in found:
                        found[k] = (b, m.trace(par, s))
                    if not kinds:
                        return found, len(par), False
            if len(par) > limit or time.time() - t0 > secs:
                return found, len(par), True
        return found, len(par), False

    def trace(m, par, s):
        out = []
        while par[s]:
            s, l = par[s]
            out.append(l)
        return out[::-1]


def show(name, f, n, cut, t):
    print(
        f'{name:44s} {n:8d} states {t:5.1f}s {"(cut off: not exhaustive)" if cut else "exhaustive" if not f else ""} {"clean" if not f else ""}',
        flush=True,
    )
    for k, (b, tr) in f.items():
        print(f'   {b}: ' + ' | '.join(tr), flush=True)


def run(name, mod, **k):
    """One search, printed. Returns (violations, cut off)."""
    t = time.time()
    f, n, cut = mod.search(**k)
    show(name, f, n, cut, time.time() - t)
    return f, cut


# How many faults of each kind: (crash, reboot, cut, late, edit, stale operator, clock); those left out are 0.
B = dict(
    crash=(1, 0, 0, 0, 0, 0),
    crash2=(2, 0, 0, 0, 0, 0),
    reboot=(0, 1, 0, 0, 0, 0),
    cut=(0, 0, 1, 0, 0, 0),
    late=(0, 0, 0, 1, 0, 0),
    edit=(0, 0, 0, 0, 1, 0),
    stale=(0, 0, 0, 0, 1, 1),
    none=(0,) * 6,
    lateedit=(0, 0, 0, 1, 1, 0),
    crashcut=(1, 0, 1, 0, 0, 0),
    crashedit=(1, 0, 0, 0, 1, 0),
    cutlate=(0, 0, 1, 1, 0, 0),
    rebootcut=(0, 1, 1, 0, 0, 0),
    cut2=(0, 0, 2, 0, 0, 0),
    crashlate=(1, 0, 0, 1, 0, 0),
    clock=(0, 0, 0, 0, 0, 0, 1),
    clockedit=(0, 0, 0, 0, 1, 0, 1),
    clockcrash=(1, 0, 0, 0, 0, 0, 1),
    clocklate=(0, 0, 0, 1, 0, 0, 1),
)
# The faults under which all rules are searched.
ALL_FAULTS = 'none edit crash reboot cut late stale crash2 crashedit lateedit crashcut cutlate clock clockedit clockcrash'.split()
# Where the hole of each rule shows: (policy, catchUp, backoffLimit, faults, edits).
EXPECT = {
    'CAS': ('Allow', 'All', 0, 'none', ()),
    'GAP': ('Allow', 'All', 0, 'none', ()),
    'SWEEP': ('Allow', 'All', 0, 'crash2', ()),
    'EDITS': ('Allow', 'All', 0, 'edit', ('reschedule',)),
    'BURYLVL': ('Forbid', 'All', 0, 'crash2', ()),
    'ADOPT': ('Allow', 'All', 1, 'crash2', ()),
    'RECON': ('Allow', 'None', 0, 'late', ()),
    'INST': ('Allow', 'All', 0, 'reboot', ()),
    'DROP': ('Allow', 'All', 0, 'cut', ()),
    'KILL': ('Allow', 'All', 0, 'cut', ()),
    'POLL': ('Forbid', 'All', 0, 'none', ()),
    'OPCAS': ('Allow', 'All', 0, 'stale', ('suspend',)),
    'LATE': ('Allow', 'None', 0, 'none', ()),
    'EPOCH': ('Allow', 'All', 0, 'clock', ()),
}


def handover():
    """The registration moves between leases: short -> long (restart) -> short. Seconds; the TTL is 10, the long one 120.

    safe: the fence is raised after the answer and lowered before the request. naive: lowered after the answer. The request is
    applied at once or later, its answer may be lost, and no keepalive is answered any more. Violation: the lease ends before
    the fence. Returns whether safe is clean and naive is not."""
    clean = {}
    for order in ('safe', 'naive'):
        worst = None
        for d in range(0, 6):  # when the request that moves back to the short lease is applied
            for answered in (True, False):
                grant = 0  # of the short lease; its TTL counts from here
                lease_end = grant + 10  # no keepalive answered any more
                fence = 84 if order == 'naive' and not answered else grant + 7
                if fence > lease_end - 3 and (worst is None or fence - lease_end > worst[0]):
                    worst = (fence - lease_end, d, answered)
        clean[order] = worst is None
        print(
            'handover back to the short lease,',
            order,
            ':',
            'clean' if not worst else f'fence {worst[0]} s AFTER the lease end (delay {worst[1]}, answered {worst[2]})',
        )
    return clean['safe'] and not clean['naive']


def operator():
    """Two leaders, one of them paused and stale, drain one entry of the outbox: read, store, Event, delete, with a crash
    between any two. Checks: one row in the store, one Event, nothing deleted that is not stored. Returns whether derived names
    are clean and generated ones are not."""
    clean = []
    for key in ('(uid,run,attempt) upsert, Event name derived', 'insert, generated Event'):
        idem = key[0] == '('
        s0 = (1, 0, 0, (0, 0))
        seen = {s0}
        q = deque([s0])
        bad = set()
        while q:
            out, rows, ev, pcs = q.popleft()
            for i in (0, 1):
                pc = pcs[i]

                def put(p):
                    l = list(pcs)
                    l[i] = p
                    return tuple(l)

                nxt = []
                if pc == 0 and out:
                    nxt.append((out, rows, ev, put(1)))  # read
                if pc == 1:
                    nxt.append((out, 1 if idem else min(rows + 1, 3), ev, put(2)))  # store
                if pc == 2:
                    nxt.append((out, rows, 1 if idem else min(ev + 1, 3), put(3)))  # event
                if pc == 3:
                    nxt.append((0, rows, ev, put(0)))  # delete
                if pc:
                    nxt.append((out, rows, ev, put(0)))  # crash
                for r in nxt:
                    if r not in seen:
                        seen.add(r)
                        q.append(r)
                    if r[1] > 1:
                        bad.add('outcome stored twice')
                    if r[2] > 1:
                        bad.add('Event twice')
                    if not r[0] and not r[1]:
                        bad.add('lost')
        clean.append(not bad)
        print('operator drain,', key, ':', sorted(bad) or 'clean', len(seen), 'states')
    return clean == [True, False]


def without(rule, policy=None, catchup=None, backoff=None):
    """One rule removed, where its hole shows or under another policy. Returns as run does."""
    p, c, bo, b, ed = EXPECT[rule]
    if policy is not None:
        p, c, bo = policy, catchup, backoff
    rest = [x for x in RULES if x != rule]
    return run(f'without {rule} {p} {c} backoff={bo} {b}', Model(p, c, bo, rest, 2, B[b], ed))


def everything():
    """Each rule removed in turn; then all rules, under every policy and fault. Returns whether all is as it should be."""
    ok = True
    print('each rule removed in turn')
    for x in RULES:
        print('-', x, ':', WHAT[x])
        found, _ = without(x)
        ok &= bool(found) != (x == 'POLL')
    print('all rules')
    exhaustive, cut_off, violations = 0, 0, 0
    for b in ALL_FAULTS:
        for pol in ('Allow', 'Forbid'):
            for cu, bo in (('All', 0), ('Latest', 1), ('None', 0)):
                mod = Model(pol, cu, bo, RULES, 2, B[b], ('suspend', 'reschedule', 'template'))
                found, cut = run(f'{pol} {cu} backoff={bo} {b}', mod, limit=400000, secs=60)
                exhaustive += not cut
                cut_off += cut
                violations += bool(found)
    ok &= violations == 0
    ok &= handover()
    ok &= operator()
    print(f'all rules: {exhaustive} exhaustive searches, {cut_off} cut off, {violations} with a violation')
    print('as expected' if ok else 'NOT as expected: see above')
    return ok


if __name__ == '__main__':
    a = sys.argv[1:]
    if a[:1] == ['handover']:
        handover()
    elif a[:1] == ['operator']:
        operator()
    elif a[:1] == ['written']:
        for pol, cu, bo in (('Allow', 'All', 0), ('Forbid', 'Latest', 0), ('Allow', 'All', 1), ('Forbid', 'None', 1)):
            for b in ('none', 'edit', 'crash', 'reboot', 'cut', 'late', 'crash2', 'stale'):
                run(
                    f'no rules {pol} {cu} backoff={bo} {b}',
                    Model(pol, cu, bo, (), 2, B[b], ('suspend', 'reschedule')),
                    kinds=1,
                    secs=8,
                    limit=120000,
                )
    elif a[:1] == ['without']:
        without(a[1], *(a[2:4] + [int(a[4])] if len(a) > 4 else []))
    elif a[:1] == ['one']:
        run(
            ' '.join(a[1:]),
            Model(
                a[1],
                a[2],
                int(a[3]),
                RULES,
                int(a[5]) if len(a) > 5 else 2,
                B[a[4]],
                tuple(a[6].split(',')) if len(a) > 6 else ('suspend', 'reschedule', 'template'),
            ),
            limit=1200000,
            secs=75,
        )
    else:
        sys.exit(0 if everything() else 1)
