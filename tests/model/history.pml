/* SPDX-License-Identifier: MIT */
/*
 * history.pml - a message that only a topic keeps yields to an allocation that finds nothing
 *		 else (client/yield.c, shm/history.c, and what they use) for spin.
 *
 * One pool of N chunks, and a topic of CAP slots, which keeps KEPT of them when it begins; the
 * others are held by nobody here. A manager stands for its chunk as well: share.pml has the two
 * apart. Bits of holders are in two words, as in topic.pml. Each client does OPS times what its
 * ROLE says: T allocates, and frees; P allocates, and publishes; S reads the next message, and
 * lets go of it. One who allocates and finds nothing sleeps as long as neither the dry word
 * nor the history word moves. Any client may be killed between any two accesses to shared memory;
 * the daemon repairs that, and with DRAIN takes the message out of slot 0.
 *
 * Checked: what was allocated is nobody else's; what is taken out of the ring is held until it is
 * the taker's own; a reader keeps the incarnation that it got; the
 * newest message never yields; nobody sleeps at the end beside a chunk that is free, or that
 * would yield; each chunk is then free, kept, or the sleeper's own. And without kills: who is
 * told that there is nothing has seen a moment at which there was nothing. A chunk, or a message,
 * does not count before whoever made it free, or made it one that yields, is through with that.
 *
 * -DUNHELD is no mutant: a publisher does not hold what it evicts, and only collects it (queues.md).
 *
 * Each of these must give an assertion violation:
 *   -DNO_BIT       who takes a message does not hold it meanwhile
 *   -DNO_STAMP     nor moves the stamp
 *   -DNO_SLOT      nor takes it out of its slot
 *   -DSLOT_STORE   or does so by load and store
 *   -DNO_OTHERS    takes it, whoever else holds it by then
 *   -DDROP_FIRST   drops its bit before the manager is its own
 *   -DLEAVES       and one who failed lets go of it without collecting
 *   -DANY_NEWEST   the newest message yields
 *   -DDROP_QUIETLY who drops the last bit beside the topic's does not look at the history word
 *   -DDROP_FIRST_LOOK  or looks before it drops
 *   -DPUT_QUIETLY  who publishes does not look at the history word
 *   -DPUT_FIRST_LOOK   or looks before it publishes
 *   -DLOOK_FIRST   an allocation looks at the messages before it sets the bit
 *   -DNO_RECHECK   and remembers what it saw, whatever has moved meanwhile
 *   -DNO_DRY       does not look at the dry word again, after it has looked at the messages
 * No fault is -DREAP_QUIETLY: the reaper moves the word for no bit that it clears. It collects each
 * manager, that of the message before as well, and whoever collects one that only the topic holds looks
 * at the history word; where a reader holds it, that one looks. So the move only comes sooner. (Two
 * clients: searched to the end. A publisher that may be killed, a reader and one who allocates: no
 * violation in forty million states, which are not all.)
 */
#define FREE   0
#define OWNED  1
#define SHARED 2
#define NONE   255
#define DAEMON 9
#define S 0
#define T 1
#define P 2
#ifndef CAP
#define CAP 2
#endif
#ifndef N
#define N 2
#endif
#ifndef KEPT
#define KEPT N
#endif
#ifndef CLIENTS
#define CLIENTS 2
#endif
#ifndef ROLE1
#define ROLE1 T
#endif
#ifndef ROLE2
#define ROLE2 S
#endif
#ifndef ROLE3
#define ROLE3 S
#endif
#ifndef OPS
#define OPS 1
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef DRAIN
#define DRAIN 0
#endif
#define ROLE(id) (id==1 -> ROLE1 : (id==2 -> ROLE2 : ROLE3))

byte generation[N], kind[N], value[N];
byte low[N], high[N];            /* bits: clients 1 and 3; client 2 and the topic */
byte position[N];
byte sequence[CAP], named[CAP];  /* the slots; a sequence is its position + CAP */
byte tail;
byte dry, history;               /* bit 0: somebody remembers; above it a sequence */
bool kill[4], dead[4], reaped[4];
byte running = CLIENTS, kills_left = KILLS, drains_left = DRAIN;
byte asleep[4];                  /* 1; 2: to the end */
byte left = CLIENTS;
bool no_more_kills = (KILLS==0);

/* Ghosts: who is not yet through with making a chunk free, or one that yields; and who has seen
 * a moment at which there was nothing. */
byte raw[N];
bool nothing[4];

#define TOPIC 4
#define IS_REAPED    ((!dead[1]||reaped[1]) && (!dead[2]||reaped[2]) && (!dead[3]||reaped[3]))
#define IS_DYING(id) (asleep[id]==1 && kill[id])
#define IS_OVER      (no_more_kills && !IS_DYING(1) && !IS_DYING(2) && !IS_DYING(3) && running==0 && \
		      drains_left==0 && IS_REAPED)
#define in_slot(i, q, m) (sequence[i]==(q) && named[i]==(m))
#define bit_in_low(id)   (id==1 -> 1 : (id==3 -> 2 : 0))
#define bit_in_high(id)  (id==2 -> 1 : 0)
/* The tail may stand back by one. */
#define newest (sequence[tail%CAP]==tail+CAP -> tail+1 : tail)
#define is_kept(m)   (kind[m]==SHARED && low[m]==0 && high[m]==TOPIC && \
		      in_slot(position[m]%CAP, position[m]+CAP, m))
#define yields(m)    (is_kept(m) && position[m]+1!=newest)
#define is_there(m)  (raw[m]==0 && (kind[m]==FREE || yields(m)))
#if N == 2
#define IS_NOTHING (!is_there(0) && !is_there(1))
#else
#define IS_NOTHING (!is_there(0) && !is_there(1) && !is_there(2))
#endif
#define note() if :: IS_NOTHING -> nothing[1] = 1; nothing[2] = 1; nothing[3] = 1 :: else -> skip fi

inline set_bit(id, m) {
	if :: id==2 -> high[m] = high[m]|1 :: else -> low[m] = low[m]|bit_in_low(id) fi
}
inline clear_bit(id, m) {
	if :: id==2 -> high[m] = high[m]&254 :: else -> low[m] = low[m]&(255-bit_in_low(id)) fi
}

/* Both words are moved alike. */
inline move(word) {
	atomic { w = word };
	if
	:: (w&1) -> atomic { if :: word==w -> word = w+1 :: else -> skip fi; w = 0 }
	:: else -> w = 0
	fi
}

/* A manager whose only bits were seen to be the topic's: whoever remembers looks again. */
inline tell(m) {
	atomic { w = history };
	if
	:: (w&1) ->
	   atomic { held = (position[m]+1!=newest) };
	   if
	   :: held -> atomic { if :: history==w -> history = w+1 :: else -> skip fi }
	   :: else -> skip
	   fi
	:: else -> skip
	fi;
	w = 0
}

inline collect(as, m) {
	atomic { first = generation[m] };
	do
	:: atomic { seen = value[m]; held = !(kind[m]==SHARED && generation[m]==first) };
	   if
	   :: held -> break
	   :: else ->
	      atomic { held = (low[m]!=0) };
	      if
	      :: held -> break
	      :: else -> atomic { held = ((high[m]&(255-TOPIC))!=0) };
	                 if :: held -> break :: else -> skip fi
	      fi;
	      atomic { held = ((high[m]&TOPIC)!=0) };
	      if
	      :: held -> x = position[m];
	                 atomic { held = in_slot(x%CAP, x+CAP, m); x = 0 }
	      :: else -> skip
	      fi;
	      if
	      :: held ->
#if !defined(DROP_QUIETLY) && !defined(DROP_FIRST_LOOK)
	         tell(m);
#endif
	         break
	      :: else -> skip
	      fi;
	      atomic {
	         held = (kind[m]==SHARED && generation[m]==first && value[m]==seen);
	         if :: held -> kind[m] = OWNED; value[m] = as :: else -> skip fi
	      };
	      if
	      :: held ->
	         atomic {
	            assert(!in_slot(position[m]%CAP, position[m]+CAP, m));
	            generation[m] = generation[m]+1; kind[m] = FREE; value[m] = 0; raw[m]++
	         };
	         move(dry);
	         atomic { raw[m]-- };
	         break
	      :: else -> skip            /* another's stamp */
	      fi
	   fi
	od;
	atomic { held = 0; seen = 0; first = 0 }
}

inline drop(id, m) {
#ifdef DROP_FIRST_LOOK
	tell(m);
#endif
	atomic { clear_bit(id, m); raw[m]++ };
	collect(id, m);
	atomic { raw[m]-- }
}

/* hold(): the manager m that slot i was seen to name, with sequence q. ok: held. */
inline hold(id, m, i, q) {
	atomic { set_bit(id, m); note() };
	do
	:: atomic { first = generation[m]; seen = value[m]; ok = (kind[m]==SHARED) };
	   if
	   :: !ok -> break
	   :: else ->
	      atomic {
	         ok = (kind[m]==SHARED && generation[m]==first && value[m]==seen);
	         if :: ok -> value[m] = value[m]+1 :: else -> skip fi
	      };
	      if :: ok -> break :: else -> skip fi
	   fi
	od;
	atomic {
	   first = 0; seen = 0;
	   assert(ok || !in_slot(i, q, m));
	   ok = (ok && in_slot(i, q, m))
	};
	if :: !ok -> drop(id, m) :: else -> skip fi
}

/* The chunk of manager m that may yield, by what was seen of it: q is its sequence. ok: ours. */
inline take(id, m, q) {
#if defined(NO_BIT)
	ok = 1;
#elif defined(NO_STAMP)
	atomic { set_bit(id, m); note() };
	atomic { ok = (kind[m]==SHARED && in_slot(q%CAP, q, m)) };
	if :: !ok -> drop(id, m) :: else -> skip fi;
#else
	hold(id, m, q%CAP, q);
#endif
	if
	:: ok ->
#ifdef SLOT_STORE
	   atomic { ok = in_slot(q%CAP, q, m) };
	   if :: ok -> atomic { named[q%CAP] = NONE; note() } :: else -> skip fi;
#elif !defined(NO_SLOT)
	   atomic {
	      ok = in_slot(q%CAP, q, m);
	      if :: ok -> assert(q-CAP+1!=newest); named[q%CAP] = NONE; note() :: else -> skip fi
	   };
#endif
	   if
	   :: ok ->
#ifdef DROP_FIRST
	      atomic { clear_bit(id, m) };
#endif
	      /* Alone with it? Bits word by word; the stamp proves that nothing moved. */
	      atomic { seen = value[m]; assert(kind[m]==SHARED); ok = 1 };
#ifndef NO_OTHERS
	      if :: ok -> atomic { ok = ((low[m]&(255-bit_in_low(id)))==0) } :: else -> skip fi;
	      if :: ok -> atomic { ok = ((high[m]&(255-TOPIC-bit_in_high(id)))==0) } :: else -> skip fi;
#endif
	      if
	      :: ok -> atomic {
	            ok = (kind[m]==SHARED && value[m]==seen);
#ifndef DROP_FIRST
	            if :: ok -> clear_bit(id, m) :: else -> skip fi;
#endif
	            if :: ok -> kind[m] = OWNED; value[m] = id; generation[m] = generation[m]+1
	            :: else -> skip fi;
	            seen = 0
	         }
	      :: else -> seen = 0
	      fi;
#if defined(LEAVES)
	      if :: !ok -> atomic { clear_bit(id, m) } :: else -> skip fi
#else
	      if :: !ok -> drop(id, m) :: else -> skip fi
#endif
	   :: else -> drop(id, m)
	   fi
	:: else -> skip
	fi
}

/* ok: m is OWNED by us. */
inline allocate(id) {
	atomic { nothing[id] = 0; note(); asleep[id] = 0 };
	again:
	do
	:: atomic { dry = dry|1; d = dry };
	   m = 0;
	   do
	   :: m==N -> break
	   :: m<N ->
	      atomic { ok = (kind[m]==FREE); if :: ok -> kind[m] = OWNED; value[m] = id; note() :: else -> skip fi };
	      if :: ok -> break :: else -> m++ fi
	   od;
	   if :: ok -> break :: else -> skip fi;
	   atomic { ok = (dry==d) };
	   if
	   :: !ok -> skip
	   :: else ->
#ifndef LOOK_FIRST
	      atomic { history = history|1; h = history };
#endif
	      atomic { m = 0; ok = 0 };
	      do
	      :: m==N -> break
	      :: m<N ->
	         atomic { ok = (kind[m]==SHARED) };
	         if :: ok -> atomic { ok = (low[m]==0) } :: else -> skip fi;
	         if :: ok -> atomic { ok = (high[m]==TOPIC) } :: else -> skip fi;
	         if :: ok -> q = position[m]; atomic { ok = in_slot(q%CAP, q+CAP, m) } :: else -> skip fi;
#ifndef ANY_NEWEST
	         if :: ok -> atomic { ok = (q+1!=newest) } :: else -> skip fi;
#endif
	         if :: ok -> take(id, m, q+CAP) :: else -> skip fi;
	         q = 0;
	         if :: ok -> break :: else -> m++ fi
	      od;
	      if :: ok -> break :: else -> skip fi;
#ifdef LOOK_FIRST
	      atomic { history = history|1; h = history };
#endif
#ifdef NO_RECHECK
	      ok = 1;
	      atomic { h = history|1; history = h };
#else
	      atomic { ok = (history==h) };
#endif
#ifndef NO_DRY
	      if :: ok -> atomic { ok = (dry==d) } :: else -> skip fi;
#endif
	      if
	      :: ok ->
	         /* There is nothing. */
	         atomic { assert(KILLS || nothing[id]); ok = 0; asleep[id] = 1; running-- };
	         atomic {
	            if
	            :: (dry!=d || history!=h) -> running++; asleep[id] = 0; nothing[id] = 0; note()
	            :: dry==d && history==h && IS_OVER -> asleep[id] = 2; running++; break
	            fi
	         }
	      :: else -> skip
	      fi
	   fi
	od;
	atomic { d = 0; h = 0 }
}

inline put(id, m) {
	do
	:: t = tail;
	   atomic { i = t%CAP; q = sequence[i]; o = named[i] };
	   if
	   :: q==t+CAP -> atomic { if :: tail==t -> tail = t+1 :: else -> skip fi }
	   :: q!=t && q!=t+CAP -> assert(tail!=t)
	   :: q==t ->
	      ok = 1;
#ifndef UNHELD
	      if :: o!=NONE -> hold(id, o, i, q) :: else -> skip fi;
#endif
	      if
	      :: !ok -> skip
	      :: else ->
	         position[m] = t;
#ifdef PUT_FIRST_LOOK
	         move(history);
#endif
	         atomic {
	            ok = in_slot(i, q, o);
	            if
	            :: ok -> sequence[i] = t+CAP; named[i] = m;
#ifdef UNHELD
	                     if :: o!=NONE -> raw[o]++ :: else -> skip fi;
#endif
	                     if :: t>0 && named[(t+CAP-1)%CAP]!=NONE -> x = named[(t+CAP-1)%CAP]; raw[x]++
	                     :: else -> x = NONE fi;
	                     note()
	            :: else -> skip
	            fi
	         };
	         if
	         :: ok ->
	            atomic { if :: tail==t -> tail = t+1 :: else -> skip fi };
#if !defined(PUT_QUIETLY) && !defined(PUT_FIRST_LOOK)
	            move(history);
#endif
	            atomic { if :: x!=NONE -> raw[x]-- :: else -> skip fi; x = 0 }
	         :: else -> skip
	         fi;
#ifdef UNHELD
	         if :: ok && o!=NONE -> collect(id, o); atomic { raw[o]-- } :: else -> skip fi;
#else
	         if :: o!=NONE -> drop(id, o) :: else -> skip fi;
#endif
	         if :: ok -> break :: else -> skip fi
	      fi
	   fi
	od;
	atomic { t = 0; q = 0; o = 0; i = 0; ok = 0 }
}

inline next(id) {
	do
	:: t = tail;
	   if :: t>cursor+CAP -> cursor = t-CAP :: else -> skip fi;
	   atomic { i = cursor%CAP; q = sequence[i]; o = named[i] };
	   if
	   :: q<cursor+CAP -> break
	   :: q>cursor+CAP -> atomic { assert(tail>cursor); cursor++ }
	   :: q==cursor+CAP && o==NONE -> cursor++      /* it has yielded, or was drained: missed */
	   :: q==cursor+CAP && o!=NONE ->
	      hold(id, o, i, q);
	      if
	      :: ok ->
	         atomic { first = generation[o]; assert(kind[o]==SHARED && position[o]==cursor) };
	         atomic { assert(kind[o]==SHARED && generation[o]==first && position[o]==cursor); first = 0 };
	         drop(id, o);
	         cursor++;
	         break
	      :: else -> skip
	      fi
	   fi
	od;
	atomic { t = 0; i = 0; q = 0; o = 0; ok = 0 }
}

proctype Client(byte id) {
	byte n, first, seen, x, m, t, q, o, i, cursor, d, h, w;
	bool ok, held;
	{
	do
	:: n==OPS -> break
	:: n<OPS -> n++;
	   if
	   :: ROLE(id)==S -> next(id)
	   :: else ->
	      allocate(id);
	      if
	      :: !ok -> m = 0; break       /* asleep to the end */
	      :: ok ->
	         atomic { ok = 0; first = generation[m]; assert(kind[m]==OWNED && value[m]==id) };
	         if
	         :: ROLE(id)==T ->
	            atomic {
	               assert(kind[m]==OWNED && value[m]==id && generation[m]==first);
	               first = 0; generation[m] = generation[m]+1; kind[m] = FREE; value[m] = 0; raw[m]++
	            };
	            move(dry);
	            atomic { raw[m]-- }
	         :: ROLE(id)==P ->
	            first = 0;
	            atomic { low[m] = bit_in_low(id) };
	            atomic { high[m] = bit_in_high(id)|TOPIC };
	            atomic { assert(kind[m]==OWNED && value[m]==id); kind[m] = SHARED; value[m] = 0 };
	            put(id, m);
	            drop(id, m)
	         fi;
	         m = 0
	      fi
	   fi
	od
	} unless { kill[id] };
	atomic {
		if
		:: kill[id] -> dead[id] = 1; if :: asleep[id]==1 -> running++ :: else -> skip fi; asleep[id] = 0
		:: else -> skip
		fi;
		running--; left--
	}
}

proctype Daemon() {
	byte first, seen, x, m, id, q, w;
	bool ok, held;
	do
	:: atomic { left==0 && IS_OVER -> break }
	:: atomic { dead[1] && !reaped[1] -> id = 1 } -> goto reap
	:: atomic { dead[2] && !reaped[2] -> id = 2 } -> goto reap
	:: atomic { dead[3] && !reaped[3] -> id = 3 } -> goto reap
	:: atomic { drains_left>0 -> q = sequence[0]; m = named[0] };
	   atomic { if :: in_slot(0, q, m) && m!=NONE -> named[0] = NONE; raw[m]++; note() :: else -> m = NONE fi; q = 0 };
	   if :: m!=NONE -> collect(DAEMON, m); atomic { raw[m]-- } :: else -> skip fi;
	   atomic { m = 0; drains_left-- };
	   goto more
	reap:
	   m = 0;
	   do
	   :: m==N -> break
	   :: m<N ->
	      atomic {
	         ok = (kind[m]==OWNED && value[m]==id);
	         if :: ok -> generation[m] = generation[m]+1; kind[m] = FREE; value[m] = 0 :: else -> skip fi
	      };
	      if
	      :: ok -> skip
	      :: else ->
	         atomic { ok = ((low[m]&bit_in_low(id)) || (high[m]&bit_in_high(id))); clear_bit(id, m) };
#ifndef REAP_QUIETLY
	         if :: ok -> move(history) :: else -> skip fi;
#endif
	         collect(id, m)
	      fi;
	      m++
	   od;
	   move(dry);
	   atomic { m = 0; ok = 0; reaped[id] = 1 };
	more:
	   id = 0
	od;
	/* Everything stands still. */
	atomic {
		m = 0;
		do
		:: m==N -> break
		:: m<N ->
		   assert(kind[m]==FREE || is_kept(m));
		   assert(!(asleep[1] || asleep[2] || asleep[3]) || (kind[m]!=FREE && !yields(m)));
		   m++
		od
	}
}
proctype Killer() {
	do
	:: kills_left>0 -> kills_left--;
	   if :: kill[1] = 1 :: kill[2] = 1 :: kill[CLIENTS] = 1 fi
	:: break
	od;
	no_more_kills = 1
}

init { atomic {
	byte j;
	do :: j==CAP -> break :: j<CAP -> sequence[j] = j; named[j] = NONE; j++ od;
	j = 0;
	do
	:: j==N -> break
	:: j<N ->
	   generation[j] = 1;
	   if
	   :: j<KEPT -> sequence[j] = j+CAP; named[j] = j; kind[j] = SHARED; high[j] = TOPIC; position[j] = j
	   :: else -> skip
	   fi;
	   j++
	od;
	tail = KEPT;
	j = 0;
	run Client(1); run Client(2);
#if CLIENTS > 2
	run Client(3);
#endif
	run Daemon();
#if KILLS > 0
	run Killer()
#endif
} }
