/* Lease, epoch and acknowledgement: what must hold for "after the barrier answered, no live node writes what the change forbids".
 *
 * Follows server/redis/cluster.cpp (renewal, the barrier's question), server/app/delivery_gate.cpp (gate and fence), server/app/governance.cpp
 * (refresh, give) and server/stream/delivery (a shard: apply, write). README.md says what is left out, and what each mutation shows.
 *
 * One node in full; of the others only what touches it: their renewals tell a Redis that forgot everything that time passes. What holds for each node
 * holds for all: the barrier waits for every one.
 *
 * Time is a tick that may come between any two steps, as often as it likes: a node stopped by SIGSTOP, a thread that is not scheduled and a request
 * that is long under way are all the same here. Only the kernel acts with the tick: it ends a process whose fence has run out.
 */
#define LEASE 3 /* ticks that Redis keeps a lease */
#ifdef NO_MARGIN
#define HALF 4 /* ticks after which the node counts it as lost */
#define FENCE 5 /* ticks after which the kernel ends a node that has not closed */
#else
#define HALF 1
#define FENCE 2
#endif
#ifndef RESTARTS
#define RESTARTS 1
#endif

mtype = { APPLY, OPEN, CLOSE };

bit committed; /* PostgreSQL: the one change is epoch 1; something that epoch 0 allowed is forbidden by it */

/* Redis */
byte lease_left;   /* 0: no lease */
bit redis_ack;
bool since_known;  /* it remembers a renewal, of any node, ... */
byte since_age;    /* ... so long ago, counted up to LEASE */

/* The wire: one request under way (0: none, else 1 + the epoch it acknowledges), and whether its answer has come. */
byte asked;
bool only_looks; /* the request under way acknowledges and does not renew */
bool answered;

/* The node */
bool dead;
byte age;        /* of the request under way, counted up to FENCE */
byte held_left;  /* RedisCluster: the lease counts as held so long */
byte fence_left; /* the kernel's timer; 0: disarmed */
bool gate_held, gate_open, gate_turned;
byte closes;     /* given to the shards and not confirmed */
bool refreshing; /* Governance::refresh_mutex_ */
bit governed;    /* epoch of the snapshot and of the consent index */
bit acknowledged;
chan shard_queue = [2] of { mtype };
bool shard_open;
bit shard_epoch; /* all that is encoded and not yet written was decided under it */

bool confirmed;  /* the barrier answered 200 */

#ifdef LIVE
byte renew_in, look_in;
byte behind; /* so long behind an epoch that is waited for, counted up to LEASE */
bool dirty;
#define DUE (renew_in == 0 || dirty)
#define LOOK (look_in == 0)
#define MAY_FAIL false
#define PATIENT (behind < LEASE)
#define IMPATIENT (behind == LEASE)
#else
#define DUE true
#define LOOK true
#define MAY_FAIL true
#define PATIENT true
#define IMPATIENT true
#endif
#define BEHIND (committed == 1 && acknowledged == 0)

#define DOWN(x) x = (x > 0 -> x - 1 : 0)
#define OVER (dead || shard_epoch == 1) /* this node writes nothing any more that is forbidden */

active proctype tick() {
end:
    do
#ifdef LIVE
    :: timeout -> d_step { /* nobody is stopped: what can be done is done before time passes */
        DOWN(renew_in);
        DOWN(look_in);
        behind = (BEHIND -> (behind < LEASE -> behind + 1 : behind) : 0);
#else
    :: !OVER -> d_step {
#endif
        DOWN(lease_left);
        DOWN(held_left);
        age = (age < FENCE -> age + 1 : FENCE);
        since_age = (since_known && since_age < LEASE -> since_age + 1 : since_age);
        dead = dead || fence_left == 1;
        DOWN(fence_left)
    }
    od
}

active proctype redis() {
    byte restarts = RESTARTS;
end:
    do
    :: d_step { /* kRenew */
        asked > 0 ->
        lease_left = (only_looks -> lease_left : LEASE);
        redis_ack = asked - 1;
        since_known = true;
        asked = 0;
        answered = true
    }
    :: d_step { !since_known -> since_known = true } /* another node's */
#ifndef LIVE
    :: d_step { /* the answer is lost */
        asked > 0 ->
        lease_left = (only_looks -> lease_left : LEASE);
        redis_ack = asked - 1;
        since_known = true;
        asked = 0
    }
    :: d_step { asked > 0 -> asked = 0 } /* the request is lost */
    :: d_step { /* restarts: connections break, memory is lost */
        restarts > 0 ->
        restarts--;
        lease_left = 0;
        redis_ack = 0;
        asked = 0;
#ifndef TRUSTS_A_COPY
        since_known = false;
        since_age = 0
#endif
    }
#endif
    od
}

/* RedisCluster::renew_loop, with DeliveryGate::lease at its end. */
active proctype renewer() {
    bool got, now_held, was_held;
end:
    do
    :: atomic {
        !dead && DUE ->
#ifdef LIVE
        dirty = false;
        renew_in = 1;
#endif
        age = 0;
        answered = false;
        only_looks = false;
#ifndef NEVER_GIVES_UP
        if /* RedisCluster::keeps_up; without LIVE at any moment, not only after a lease of it */
        :: BEHIND && IMPATIENT -> only_looks = true
        :: !BEHIND || PATIENT
        fi;
#endif
        asked = 1 + acknowledged
    }
    atomic {
        if
        :: answered -> got = !only_looks
        :: MAY_FAIL -> got = false /* waited long enough */
        fi;
        answered = false;
        held_left = (got && age < HALF -> HALF - age : (got -> 0 : held_left));
        now_held = held_left > 0
    }
#ifdef ARMS_OUTSIDE
    atomic {
        if
        :: got && now_held -> fence_left = FENCE - age; dead = dead || age == FENCE
        :: else
        fi
    }
#endif
    atomic { /* under the gate's mutex */
        nfull(shard_queue); /* which has no end in truth */
#if !defined(NO_FENCE) && !defined(ARMS_OUTSIDE)
        if
        :: got && now_held ->
            fence_left = FENCE - age;
            dead = dead || age == FENCE /* a timer set to a moment gone by */
        :: else
        fi;
#endif
        if
        :: now_held != was_held ->
            was_held = now_held;
            gate_held = now_held;
            gate_turned = true;
            if
            :: !now_held -> gate_open = false; closes++; shard_queue!CLOSE
            :: else
            fi
        :: else
        fi;
        got = false;
        now_held = false
    }
    od
}

/* Governance::refresh: reads all, then takes it and gives it to the shards; one at a time. */
inline refresh(read) {
    atomic { !refreshing -> refreshing = true; read = committed }
    atomic {
        nfull(shard_queue);
        if
        :: read > governed ->
            governed = read;
            shard_queue!APPLY
#ifdef ACK_WHEN_GIVEN
            ; acknowledged = read
#endif
        :: else
        fi;
        read = 0;
        refreshing = false
    }
}

/* Told by NOTIFY, or looking once in a while when that was lost. It looks until there is something to see. */
active proctype watcher() {
    bit read;
end:
    do
#ifndef NEVER_LOOKS
    :: !dead && governed == 0 && LOOK ->
        refresh(read)
#ifdef LIVE
        ; look_in = 2
#endif
#endif
    :: false
    od
}

/* DeliveryGate::run */
active proctype gate() {
    bit read;
end:
    do
    :: atomic { !dead && gate_held && !gate_open -> gate_turned = false }
#ifndef OPENS_UNREAD
        refresh(read);
#endif
        atomic {
            nfull(shard_queue);
            if
            :: gate_held && !gate_turned -> gate_open = true; shard_queue!OPEN
            :: else
            fi
        }
    od
}

/* One thread: a node stopped after it looked whether it may write, and before it does, is one whose next step is the write. */
active proctype shard() {
end:
    do
    :: shard_queue?APPLY ->
        /* Drops what was encoded and is not written, closes a session inside a frame; when the last shard has, Cluster::acknowledge. */
        atomic {
            shard_epoch = 1;
            acknowledged = 1;
#ifdef LIVE
            dirty = true
#endif
        }
    :: shard_queue?OPEN -> shard_open = true
    :: shard_queue?CLOSE ->
        shard_open = false;
        atomic { /* DeliveryGate hears that every shard has closed, of the last time it told them to */
            if
#ifdef ANY_CLOSE
            :: !gate_held -> fence_left = 0
#else
            :: !gate_held && closes == 1 -> fence_left = 0
#endif
            :: else
            fi;
            closes--
        }
    :: !dead && shard_open && shard_epoch == 0 && confirmed -> assert(false) /* writes what is forbidden */
    od
}

/* An admin's call: commits, then asks (kOutstanding) until nobody is outstanding. */
active proctype barrier() {
    committed = 1;
    atomic { since_known && since_age >= LEASE && (lease_left == 0 || redis_ack == 1) -> confirmed = true }
}

#ifdef LIVE
ltl completes { <> confirmed }
#endif
