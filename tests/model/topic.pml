/* SPDX-License-Identifier: MIT */
/*
 * topic.pml - the ring that keeps its last messages (shm/topic.c, client/topic.c and the
 *	       topic's part of shm/chunk_manager.c) for spin.
 *
 * A ring of CAP slots, each (sequence, manager). A manager stands for its chunk as well:
 * share.pml has the two apart. Clients 1 and 2 publish, and with BOTH also read; client 3
 * reads. Bits of holders are in two words, which cannot be read at once. Any client may be
 * killed between any two accesses to shared memory (Killer); the daemon repairs that, with
 * DRAIN empties the ring as well, and with RKILLS is killed in the middle of all this, and
 * begins again.
 *
 * All accesses of the code are seq_cst: each atomic step here has one, the rest of it is
 * local or a ghost.
 *
 * Checked: a reader keeps the incarnation that it got until it lets go; what is in the ring
 * has the topic's bit and is never freed; when everything stands still, each manager is free,
 * or in the ring with the topic's bit and no other. And what the code takes for a hostile
 * client's work never comes of honest ones: a slot that is as it was, but what it names
 * cannot be stamped; a slot that is neither free nor filled while the tail stands; a slot
 * ahead of a reader that has reached the tail.
 *
 * tests/model/run builds and runs all of this. A model that cannot fail proves nothing:
 * each of these must give an assertion violation:
 *   -DNO_STAMP     a reader does not move the stamp
 *   -DNO_SAME      nor looks at the slot again
 *   -DNO_RING      a topic's bit counts, whatever the ring says
 *   -DNO_LOOK      a topic's bit never counts
 *   -DRING_FIRST   a collector looks at the ring first, then at the bits
 *   -DNO_GUARD     a publisher does not hold what it evicts
 *   -DEARLY_DROP   a publisher lets go of its message before its slot is written
 *   -DLATE_POSITION  and notes the position after it
 *   -DPUT_STORE    a slot is written by load and store
 *   -DDRAIN_STORE  a slot is drained by load and store
 *   -DDRAIN_ONLY   what was drained is not collected
 *   -DREAP_BITS    the reaper collects only where it cleared a bit
 *   -DOWN_NAME     and takes in its own name
 * -DUNHELD is no mutant: what is evicted is not held, and only collected behind it (queues.md, section 8).
 * This one must give a non-progress cycle:
 *   -DNO_HELP      a publisher waits for the tail instead of helping it along
 */
#define FREE   0
#define OWNED  1
#define SHARED 2
#define NONE   255
#define DAEMON 9
#ifndef CAP
#define CAP 1
#endif
#define MANAGERS (CAP+1)         /* one chunk more than the ring keeps */
#ifndef CLIENTS
#define CLIENTS 2
#endif
#ifndef OPS
#define OPS 1                    /* per client */
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef RKILLS
#define RKILLS 0
#endif
#ifndef DRAIN
#define DRAIN 0                  /* how often the daemon drains */
#endif
#ifndef BOTH
#define BOTH 1
#endif
#define PUBLISHES(id) (id!=3)
#define READS(id)     (id==3 || BOTH)

/* A manager's word: generation, kind, owner or stamp. */
byte generation[MANAGERS], kind[MANAGERS], value[MANAGERS];
byte low[MANAGERS], high[MANAGERS];      /* bits: clients 1 and 3; client 2 and the topic */
byte position[MANAGERS];
byte sequence[CAP], named[CAP];  /* the slots; a sequence is its position + CAP, so that it begins at 0 */
byte tail;
bool kill[4], dead[4], reaped[4], rkill;
byte running = CLIENTS, kills_left = KILLS, rkills_left = RKILLS, drains_left = DRAIN;
#define TOPIC 4
#define in_slot(i, q, m) (sequence[i]==(q) && named[i]==(m))
#define bit_in_low(id)   (id==1 -> 1 : (id==3 -> 2 : 0))
#define bit_in_high(id)  (id==2 -> 1 : 0)

inline set_bit(id, m) {
	if :: id==2 -> high[m] = high[m]|1 :: else -> low[m] = low[m]|bit_in_low(id) fi
}
inline clear_bit(id, m) {
	if :: id==2 -> high[m] = high[m]&254 :: else -> low[m] = low[m]&(255-bit_in_low(id)) fi
}
inline advance(from) {
	atomic { if :: tail==from -> tail = from+1 :: else -> skip fi }
}
inline free_manager(m) {
	generation[m] = generation[m]+1; kind[m] = FREE; value[m] = 0
}

/* is_held() by the bits of clients; held: */
inline look_at_bits(m) {
	atomic { held = (low[m]!=0) };
	if
	:: held -> skip
	:: else -> atomic { held = ((high[m]&(255-TOPIC))!=0) }
	fi
}

/* and by the topic's. */
inline look_at_ring(m) {
#ifdef NO_RING
	atomic { held = (high[m]!=0) }
#elif defined(NO_LOOK)
	held = 0
#else
	atomic { held = ((high[m]&TOPIC)!=0) };
	if
	:: held -> x = position[m];
	           atomic { held = in_slot(x%CAP, x+CAP, m); x = 0 }
	:: else -> skip
	fi
#endif
}

inline collect(as, m) {
	atomic { first = generation[m] };
	do
	:: atomic { seen = value[m]; held = !(kind[m]==SHARED && generation[m]==first) };
	   if
	   :: held -> break
	   :: else ->
#ifdef RING_FIRST
	      look_at_ring(m);
	      if :: held -> break :: else -> skip fi;
	      look_at_bits(m);
#else
	      look_at_bits(m);
	      if :: held -> break :: else -> skip fi;
	      look_at_ring(m);
#endif
	      if :: held -> break :: else -> skip fi;
	      atomic {
	         held = (kind[m]==SHARED && generation[m]==first && value[m]==seen);
	         if :: held -> kind[m] = OWNED; value[m] = as :: else -> skip fi
	      };
	      if
	      :: held ->
	         atomic {
	            /* ghost */
	            do :: x==CAP -> break :: x<CAP -> assert(named[x]!=m); x++ od;
	            x = 0;
	            free_manager(m)
	         };
	         break
	      :: else -> skip            /* another's stamp */
	      fi
	   fi
	od;
	atomic { held = 0; seen = 0; first = 0 }
}

/* hold(): the manager m that slot i was seen to name, with sequence q. ok: held. */
inline hold(id, m, i, q) {
	atomic { set_bit(id, m) };
	do
	:: atomic { first = generation[m]; seen = value[m]; ok = (kind[m]==SHARED) };
	   if
	   :: !ok -> break
	   :: else ->
	      atomic {
	         ok = (kind[m]==SHARED && generation[m]==first && value[m]==seen);
#ifndef NO_STAMP
	         if :: ok -> value[m] = value[m]+1 :: else -> skip fi
#endif
	      };
	      if :: ok -> break :: else -> skip fi
	   fi
	od;
	atomic {
	   first = 0; seen = 0;
#ifndef NO_SAME
	   /* Not to be stamped, and still there, would be a hostile client's work. */
	   assert(ok || !in_slot(i, q, m));
	   ok = (ok && in_slot(i, q, m))
#endif
	};
	if :: !ok -> atomic { clear_bit(id, m) }; collect(id, m) :: else -> skip fi
}

inline put(id, m) {
	do
	:: t = tail;
	   atomic { i = t%CAP; q = sequence[i]; o = named[i] };
	   if
	   :: q==t+CAP ->
#ifdef NO_HELP
	      skip
#else
	      advance(t)
#endif
	   :: q!=t && q!=t+CAP -> assert(tail!=t)
	   :: q==t ->
	      ok = 1;
#if !defined(NO_GUARD) && !defined(UNHELD)
	      if :: o!=NONE -> hold(id, o, i, q) :: else -> skip fi;
#endif
	      if
	      :: !ok -> skip
	      :: else ->
#ifndef LATE_POSITION
	         position[m] = t;
#endif
#ifdef PUT_STORE
	         atomic { ok = in_slot(i, q, o) };
	         if
	         :: ok -> atomic { sequence[i] = t+CAP; named[i] = m; assert(kind[m]==SHARED && (high[m]&TOPIC)) }
	         :: else -> skip
	         fi;
#else
	         atomic {
	            ok = in_slot(i, q, o);
	            if
	            :: ok -> sequence[i] = t+CAP; named[i] = m;
	                     assert(kind[m]==SHARED && (high[m]&TOPIC))
	            :: else -> skip
	            fi
	         };
#endif
#ifdef LATE_POSITION
	         if :: ok -> position[m] = t :: else -> skip fi;
#endif
	         if :: ok -> advance(t) :: else -> skip fi;
#ifndef NO_GUARD
#ifdef UNHELD
	         if :: ok && o!=NONE -> collect(id, o) :: else -> skip fi;
#else
	         if :: o!=NONE -> atomic { clear_bit(id, o) }; collect(id, o) :: else -> skip fi;
#endif
#endif
	         if :: ok -> break :: else -> skip fi
	      fi
	   fi
	od;
	atomic { t = 0; q = 0; o = 0; i = 0; ok = 0 }
}

inline publish(id) {
	/* Allocate and share, in as many steps as matter here. */
	m = 0; ok = 0;
	do
	:: m==MANAGERS -> break
	:: m<MANAGERS ->
	   atomic { ok = (kind[m]==FREE); if :: ok -> kind[m] = OWNED; value[m] = id :: else -> skip fi };
	   if :: ok -> break :: else -> m++ fi
	od;
	if
	:: m==MANAGERS -> skip           /* everything is held */
	:: else ->
	   atomic { low[m] = bit_in_low(id) };
	   atomic { high[m] = bit_in_high(id)|TOPIC };
	   atomic { assert(kind[m]==OWNED && value[m]==id); kind[m] = SHARED; value[m] = 0 };
#ifdef EARLY_DROP
	   atomic { clear_bit(id, m) };
#endif
	   put(id, m);
#ifndef EARLY_DROP
	   atomic { clear_bit(id, m) };
#endif
	   collect(id, m)
	fi;
	atomic { m = 0; ok = 0 }
}

/* One message, or nothing yet. */
inline next(id) {
	do
	:: t = tail;
	   if :: t>cursor+CAP -> cursor = t-CAP :: else -> skip fi;
	   atomic { i = cursor%CAP; q = sequence[i]; o = named[i] };
	   if
	   :: q<cursor+CAP -> break
	   :: q>cursor+CAP -> atomic { assert(tail>cursor); cursor++ }
	   :: q==cursor+CAP && o==NONE -> cursor++      /* drained */
	   :: q==cursor+CAP && o!=NONE ->
	      hold(id, o, i, q);
	      if
	      :: ok ->
	         atomic { first = generation[o]; assert(kind[o]==SHARED && position[o]==cursor) };
	         atomic {
	            assert(kind[o]==SHARED && generation[o]==first && position[o]==cursor);
	            first = 0;
	            clear_bit(id, o)
	         };
	         collect(id, o);
	         cursor++;
	         break
	      :: else -> skip
	      fi
	   fi
	od;
	atomic { t = 0; i = 0; q = 0; o = 0; ok = 0 }
}

proctype Client(byte id) {
	byte n, first, seen, x, m, t, q, o, i, cursor;
	bool ok, held;
	{
	do
	:: n==OPS -> break
	:: n<OPS -> n++;
	   if
	   :: PUBLISHES(id) -> publish(id);
progress_published: skip
	   :: READS(id) -> next(id);
progress_read: skip
	   fi
	od
	} unless { kill[id] };
	atomic { if :: kill[id] -> dead[id] = 1 :: else -> skip fi; running-- }
}

#ifdef OWN_NAME
#define NAME DAEMON+1
#else
#define NAME id
#endif

inline sweep() {
	m = 0;
	do
	:: m==MANAGERS -> break
	:: m<MANAGERS ->
	   atomic {
	      ok = (kind[m]==OWNED && value[m]==id);
	      if :: ok -> free_manager(m) :: else -> skip fi
	   };
	   if
	   :: ok -> skip
	   :: else ->
#ifdef REAP_BITS
	      atomic { ok = ((low[m]&bit_in_low(id)) || (high[m]&bit_in_high(id))); clear_bit(id, m) };
	      if :: ok -> collect(NAME, m) :: else -> skip fi
#else
	      atomic { clear_bit(id, m) };
	      collect(NAME, m)
#endif
	   fi;
	   m++
	od;
	atomic { m = 0; ok = 0 }
}

inline drain() {
	i = 0;
	do
	:: i==CAP -> break
	:: i<CAP ->
	   atomic { q = sequence[i]; m = named[i] };
	   atomic {
#ifdef DRAIN_STORE
	      sequence[i] = q; named[i] = NONE;
#else
	      if :: in_slot(i, q, m) -> named[i] = NONE :: else -> m = NONE fi;
#endif
	      q = 0
	   };
#ifndef DRAIN_ONLY
	   if :: m!=NONE -> collect(DAEMON, m) :: else -> skip fi;
#endif
	   m = 0;
	   i++
	od;
	i = 0
}

/* Its own id is one of the dead, when it was killed; that comes first. */
proctype Daemon() {
	byte first, seen, x, m, id, i, q;
	bool ok, held;
begin:
	{
	do
	:: atomic { running==0 && drains_left==0 && (!dead[1]||reaped[1]) && (!dead[2]||reaped[2]) &&
	            (!dead[3]||reaped[3]) -> break }
	:: atomic { dead[1] && !reaped[1] -> id = 1 } -> goto reap
	:: atomic { dead[2] && !reaped[2] -> id = 2 } -> goto reap
	:: atomic { dead[3] && !reaped[3] -> id = 3 } -> goto reap
	:: atomic { drains_left>0 -> drains_left-- } -> drain(); goto more
	reap:
	   sweep();
	   reaped[id] = 1;
	more:
	   id = 0
	od
	} unless { rkill };
	if
	:: rkill ->
	   atomic { rkill = 0; first = 0; seen = 0; x = 0; i = 0; q = 0; ok = 0; held = 0; id = DAEMON };
	   sweep();
	   id = 0;
	   goto begin
	:: else -> skip
	fi;
	/* Everything stands still. */
	atomic {
		m = 0;
		do
		:: m==MANAGERS -> break
		:: m<MANAGERS ->
		   ok = 0; i = 0;
		   do
		   :: i==CAP -> break
		   :: i<CAP -> if :: named[i]==m -> assert(!ok); ok = 1 :: else -> skip fi; i++
		   od;
		   assert(!ok || (kind[m]==SHARED && low[m]==0 && high[m]==TOPIC));
		   assert(ok || kind[m]==FREE);
		   m++
		od
	}
}

proctype Killer() {
	do
	:: kills_left>0 -> kills_left--;
	   if :: kill[1] = 1 :: kill[2] = 1 :: kill[CLIENTS] = 1 fi
	:: rkills_left>0 -> rkills_left--; rkill = 1
	:: break
	od
}

init { atomic {
	byte j;
	do :: j==CAP -> break :: j<CAP -> sequence[j] = j; named[j] = NONE; j++ od;
	j = 0;
	do :: j==MANAGERS -> break :: j<MANAGERS -> generation[j] = 1; j++ od;
#ifdef START                     /* one message is there already */
	sequence[0] = CAP; named[0] = 0; kind[0] = SHARED; high[0] = TOPIC; tail = 1;
#endif
	j = 0;
	run Client(1); run Client(2);
#if CLIENTS > 2
	run Client(3);
#endif
	run Daemon(); run Killer()
} }
