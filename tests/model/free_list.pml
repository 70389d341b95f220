/* SPDX-License-Identifier: MIT */
/*
 * free_list.pml - the two-level bitmap of hints (shm/free_list.c) for spin.
 *
 * Two leaves of two bits under one summary word. Each process pops and pushes; a hint that
 * it popped is in its hand until it pushes it, so each hint is in a leaf or in exactly one
 * hand. Any process may be killed between any two accesses to shared memory (Killer); what
 * it had in its hand then stays there: the words of the chunks (pool.pml) repair that.
 *
 * Each step has one access to shared memory. The list is read and written by
 * read-modify-write and single loads, so what weaker memory can add is that two accesses
 * of one process change places: F1 and F2 of free_list.c forbid the two that matter, and
 * the mutants SUMMARY_FIRST and LOOK_FIRST are what would happen without them.
 *
 * Checked: nobody pops a hint that another has in his hand, and none vanishes; a pop that
 * returns nothing saw each bit clear at some moment of the call; when everything stands
 * still and nobody was killed, a leaf with bits has its summary bit; and killed or not, a
 * pop finds every bit there is.
 *
 * tests/model/run builds and runs all of this. A model that cannot fail proves nothing:
 * each of these must give an assertion violation:
 *   -DSUMMARY_FIRST  push sets the summary before the leaf
 *   -DNO_LOOK        no second look at the leaf after the summary bit was cleared
 *   -DLOOK_FIRST     the second look comes before the clearing
 *   -DNO_LEAVES      a pop believes an empty summary
 *   -DTRUST_LOAD     a pop takes what it loaded for what its fetch_and took
 *   -DSTORE_LEAF     a pop takes bits by load and store
 *   -DSTORE_SUMMARY  push sets the summary bit by load and store
 *   -DNO_SUMMARY     push leaves the summary alone
 *   -DSPIN           a pop that lost its bits tries for the same ones again, which gives a
 *                    non-progress cycle
 *
 * Not mutants, since nothing is wrong without them, only slower: clearing the summary bit
 * (a bit over an empty leaf costs a look); setting it again for the rest of a leaf that a
 * pop found by reading all leaves (-DNO_REST: only after a kill would it stay clear, and
 * the next pop would read all leaves again).
 */
#define LEAVES 2
#define BITS   2
#define INDICES (LEAVES*BITS)
#ifndef PROCS
#define PROCS 2
#endif
#ifndef OPS
#define OPS 3                    /* per process */
#endif
#ifndef KILLS
#define KILLS 0
#endif
#define CHECKER 0

byte leaf[LEAVES], summary;
byte hand[PROCS+1];              /* ghost: hints popped and not pushed back, one bit each */
byte clear[PROCS+1];             /* ghost: bits that were clear at some moment of my pop */
bool kill[PROCS+1];
byte running = PROCS, kills_left = KILLS;
bool killed;                     /* ghost */

#define MASK     ((1<<BITS)-1)
#define MAX(id)  (id==2 -> 1 : BITS)     /* hints that one pop takes */
#define all_bits (leaf[0] | leaf[1]<<BITS)

inline note_clear() {            /* ghost */
	clear[0]=clear[0]|(15-all_bits); clear[1]=clear[1]|(15-all_bits);
	clear[2]=clear[2]|(15-all_bits)
#if PROCS > 2
	; clear[3]=clear[3]|(15-all_bits)
#endif
}

inline set_summary(l) {
#ifdef STORE_SUMMARY
	old = summary;
	summary = old|(1<<l); old = 0
#else
	summary = summary|(1<<l)
#endif
}

inline push_mask(id, l, m) {
#ifdef SUMMARY_FIRST
	set_summary(l);
	atomic { leaf[l]=leaf[l]|m; hand[id]=hand[id]&(15-(m<<(l*BITS))) }
#else
	atomic { leaf[l]=leaf[l]|m; hand[id]=hand[id]&(15-(m<<(l*BITS))) };
#ifndef NO_SUMMARY
	set_summary(l)
#endif
#endif
}

inline clear_summary(l) {
#ifdef LOOK_FIRST
	look = leaf[l];
	summary = summary&(3-(1<<l));
#else
	summary = summary&(3-(1<<l));
	look = leaf[l];
#endif
#ifndef NO_LOOK
	if :: look!=0 -> set_summary(l) :: else -> skip fi;
#endif
	look = 0
}

/* Up to max(id) bits of leaf l into got. */
inline take_bits(id, l) {
	got = 0;
	seen = leaf[l];
	do
	:: seen==0 -> break
	:: else ->
	   atomic {
		m = (MAX(id)>=BITS -> seen : (seen&1 -> 1 : 2));
#ifdef STORE_LEAF
		got = m; seen = seen&(MASK-m)
	   };
	   atomic {
		assert(!((hand[1]|hand[2]|hand[PROCS])&(got<<(l*BITS))));
		leaf[l] = seen;
#else
#ifdef TRUST_LOAD
		got = m;
#else
		got = leaf[l]&m;
#endif
		leaf[l] = leaf[l]&(MASK-m);
		seen = leaf[l];
		assert(!((hand[1]|hand[2]|hand[PROCS])&(got<<(l*BITS))));
#endif
		hand[id] = hand[id]|(got<<(l*BITS));
#ifdef SPIN
		if :: got==0 -> seen=m :: else -> skip fi;
#endif
		m = 0;
		note_clear()
	   };
	   if
	   :: got==0 -> skip             /* another took them: the rest */
	   :: got!=0 && seen==0 -> clear_summary(l); break
	   :: got!=0 && seen!=0 -> break
	   fi
	od;
	seen = 0
}

/* Where the summary points, of those leaves that are allowed. */
inline pop_summary(id, allowed) {
	bits = summary&(allowed);
	do
	:: bits==0 -> break
	:: else ->
	   atomic { l = (bits&1 -> 0 : 1); bits = bits&(bits-1) };
	   take_bits(id, l);
	   if
	   :: got==0 -> clear_summary(l)
	   :: else -> bits = 0
	   fi
	od
}

inline pop(id) {
	atomic { clear[id] = 15-all_bits; start = (id==2 -> 1 : 0) };
	pop_summary(id, 3-((1<<start)-1));
	if
	:: got!=0 -> skip
	:: else ->
	   pop_summary(id, (1<<start)-1);
	   if
	   :: got!=0 -> skip
	   :: else ->
#ifndef NO_LEAVES
	      l = 0;
	      do
	      :: l==LEAVES -> break
	      :: l<LEAVES ->
	         take_bits(id, l);
	         if
	         :: got==0 -> l++
	         :: else ->
#ifndef NO_REST
	            look = leaf[l];
	            if :: look!=0 -> set_summary(l) :: else -> skip fi;
#endif
	            break
	         fi
	      od;
#endif
	      assert(got!=0 || clear[id]==15)
	   fi
	fi;
	atomic { l=0; look=0; start=0; clear[id]=0 }
}

proctype Process(byte id) {
	byte n, seen, got, m, l, look, bits, start;
#ifdef STORE_SUMMARY
	byte old;
#endif
	{
	do
	:: n==OPS -> break
	:: n<OPS -> n++;
	   if
	   :: pop(id); got = 0
	   :: atomic { hand[id]&MASK -> m = hand[id]&MASK }; push_mask(id, 0, m); m = 0
	   :: atomic { hand[id]>>BITS -> m = hand[id]>>BITS }; push_mask(id, 1, m); m = 0
	   fi
	od
	} unless { kill[id] };
	atomic { if :: kill[id] -> killed=1 :: else -> skip fi; clear[id]=0; running-- }
}

proctype Killer() {
	do
	:: kills_left>0 -> kills_left--;
	   if :: kill[1]=1 :: kill[2]=1 :: kill[PROCS]=1 fi
	:: break
	od
}

/* When all have ended or are dead. */
proctype Checker() {
	byte seen, got, m, l, look, bits, start;
#ifdef STORE_SUMMARY
	byte old;
#endif
	atomic {
		running==0;
		assert((all_bits|hand[1]|hand[2]|hand[PROCS])==15);
		assert(killed || leaf[0]==0 || (summary&1));
		assert(killed || leaf[1]==0 || (summary&2))
	};
	do
	:: pop(CHECKER);
	   if :: got==0 -> break :: else -> got = 0 fi
	od;
	assert(all_bits==0)
}

init { atomic {
	/* some in the list, some in hands; and all summary rules kept */
	if
	:: leaf[0]=3; summary=1; hand[1]=4; hand[2]=8
	:: leaf[0]=1; leaf[1]=1; summary=3; hand[1]=2; hand[2]=8
	:: leaf[1]=1; summary=2; hand[1]=11
	fi;
	run Process(1); run Process(2);
#if PROCS > 2
	run Process(3);
#endif
	run Checker();
	if :: KILLS -> run Killer() :: else -> skip fi
} }
