/* SPDX-License-Identifier: MIT */
/*
 * lane_dry.pml - an exhausted pool whose chunks may be FREE for lanes, for spin: lane.pml and the dry
 * word of pool.pml together.
 *
 *   free    for the lane; then a look at the dry word; set: the word becomes everybody's by swap, its
 *           hint goes to the list, the dry word is moved
 *   scan    the dry bit, a membarrier, all words. The first that is FREE for another's epoch which
 *           is not settled (FIRST): revoked at once. Of the others the lanes are noted; nothing found: all
 *           their epochs are moved, one membarrier for them, all are settled, and the words are
 *           read once more. What is FREE for an epoch that is not settled then, was freed after the
 *           dry bit was set: its free sees the bit. Last the dry word: it was moved, or all were held
 *
 * Threads with a lane follow hints alone, unless SCANS says 1, and drop one that leads to another's
 * epoch. Thread 1 may be killed (KILLS).
 *
 * A chunk is held, as in pool.pml, until its free is complete; and from the swap that finishes
 * the claim of another thread, which has not been told yet.
 *
 * Checked: a scan that fails: at some moment of the call all chunks were held; one that fails at
 * once, by the dry word that it remembers: no chunk is free whose free is complete; no two threads
 * have one chunk; at the end nobody remembers a dry word beside a FREE chunk.
 *
 * Each of these must give an assertion violation:
 *   -DSKIP_BIASED      what is FREE for another's lane counts as held
 *   -DNO_SECOND        the words are not read again (-DFIRST=0)
 *   -DBATCH_NO_BARRIER the lanes are settled by the membarrier of the dry bit (-DFIRST=0)
 *   -DCLAIM_UNSETTLED  the second reading claims whatever is FREE (-DFIRST=0 -DOPS1=3 -DOPS2=1)
 *   -DNO_HELP          lanes are settled, and the claims under way not finished (-DFIRST=0)
 *   -DLOOK_FIRST       the freer looks at the dry word before its store
 *   -DFREE_NO_MOVE     it does not move it
 *   -DREAP_NO_MOVE     nor does the reaper (-DKILLS=1)
 */
#define HELPED(c) claimed(c)
#define FREES_WAIT 1
#include "lane_common.pml"
#ifndef OPS
#define OPS 2
#endif
#ifndef OPS1
#define OPS1 OPS
#endif
#ifndef OPS2
#define OPS2 OPS
#endif
#ifndef OPS3
#define OPS3 OPS
#endif
#define OPS_OF(id) (id==1 -> OPS1 : (id==2 -> OPS2 : OPS3))
#ifndef SCANS
#define SCANS LANES+1		/* the first thread that reads the words, for want of hints */
#endif
#ifndef KILLS
#define KILLS 0			/* of thread 1 */
#endif
#ifndef FIRST
#define FIRST 1			/* whether the first lane that is met is revoked at once */
#endif

byte dry = 4;			/* bit 0: somebody found nothing; above bit 1: sequence */
byte rem[THREADS+1];		/* the dry word remembered; 0: none */
byte running = THREADS;
bool kill, dead;
byte kills_left = KILLS;

/* ghosts */
byte who[N];			/* who has freed it */
bool fin[N];			/* it is free, and no free of it is under way */
bool saw_all[THREADS+1];	/* all were held at some moment of my call */

#if N > 1
#define all_held  (!fin[0] && !fin[1])
#define some_done (fin[0] || fin[1])
#define some_free (is_free(word[0]) || is_free(word[1]))
#else
#define all_held  (!fin[0])
#define some_done (fin[0])
#define some_free (is_free(word[0]))
#endif

/* Inside atomic steps: the chunk is claimed, by whom it may be. */
inline claimed(c) {
	who[c]=0; fin[c]=0;
	if
	:: all_held -> saw_all[1]=1; saw_all[2]=1;
#if THREADS > 2
		saw_all[3]=1
#endif
	:: else
	fi
}

/* Ghost: the free is complete, unless another has the chunk already. */
inline complete(id, c) { if :: who[c]==id && own[c]==0 -> fin[c]=1 :: else fi }

/* The swap of pool_move_dry() after a load d with the bit; d: 0 if there is no more to do. */
inline cas_dry() {
	if
	:: dry==d -> dry=(d+4)&254; d=0
	:: dry!=d && (dry&1) && dry/4==d/4 -> d=dry
	:: else -> d=0
	fi
}

#define is_plain (l!=0 && low(e)!=0)
#define is_mine(w) (lane_of(w)==0 || lane_of(w)==l)

inline forget() { c=0; w=0; y=0; i=0; o=0; n=0; m=0; f=0; d=0; v=0; set=0; first=0; second=0; ok=0 }

/* The swap: what was seen is claimed. */
inline claim(id, c) {
	drain_word(id, c);
	if
	:: word[c]==w -> word[c]=OWNED(l, id, gen(w)); claimed(c); told(id, c); ok=1
	:: else -> ok=0
	fi
}

proctype Thread(byte id) {
	byte ops, c, l, e, n, m, f, o, d, v, set;
	short w, y, i;
	bool first, second, ok;
	if
	:: id<=LANES -> atomic { l=id; e=1; sb_lane[id]=l }
	:: else
	fi;
	{
	skip;
next:	atomic {
		forget(); saw_all[id]=0;
		if
		:: ops==OPS_OF(id) -> goto ended
		:: ops<OPS_OF(id) && (own[0]!=id
#if N > 1
			|| own[1]!=id
#endif
			) -> ops++; saw_all[id]=all_held
		:: own[0]==id -> c=0; goto free
#if N > 1
		:: own[1]==id -> c=1; goto free
#endif
		fi;
		if
		:: !(id>=SCANS) -> c=0
#if N > 1
		:: !(id>=SCANS) -> c=1
#endif
		:: (id>=SCANS) -> goto no_hint
		fi;
		see(id, c, w);
		if
		:: !is_free(w) -> goto next
		:: is_free(w) && is_plain && lane_of(w)==l && value(w)==low(e) -> goto plain
		:: else
		fi;
		if
		:: is_mine(w) -> goto swap
		:: else -> goto next		/* another thread has the hint */
		fi
	};
swap:	atomic { claim(id, c); goto next };

plain:	atomic { sb_n[id]<SB -> y=INTENT(c, gen(w)); put(id, 0, y) };
	if
	:: epoch[l]!=e -> goto moved_on
	:: epoch[l]==e -> skip
	fi;
	atomic { sb_n[id]<SB -> y=OWNED(l, id, gen(w)); put(id, c+1, y); claimed(c); told(id, c); goto next };
moved_on:
	atomic {
		drain_word(id, c);
		if
		:: word[c]==w -> word[c]=OWNED(l, id, gen(w)); claimed(c); told(id, c)
		:: word[c]==OWNED(l, id, gen(w)) -> told(id, c)
		:: else
		fi
	};
	e = epoch[l];
	goto next;

	/* the word, then a look at the dry word */
free:
#ifdef LOOK_FIRST
	d = dry;
#endif
	atomic {
		sb_n[id]<SB ->
		assert(own[c]==id); see(id, c, w); assert(!is_free(w) && value(w)==id);
		own[c]=0; who[c]=id; fin[c]=0;
		w = (is_plain -> FREE(l, low(e), gen(w)+1) : FREE(0, 0, gen(w)+1));
		put(id, c+1, w)
	};
	atomic {
#ifndef LOOK_FIRST
		d = dry;
#endif
		if :: d&1 -> d=0 :: else -> complete(id, c); goto next fi
	};
	/* Whoever gets the hint from the list is to need no membarrier for it. */
	if
	:: lane_of(w)!=0 -> atomic { drain_word(id, c); if :: word[c]==w -> word[c]=unbiased(w) :: else fi }
	:: else
	fi;
#ifdef FREE_NO_MOVE
	atomic { complete(id, c); goto next };
#endif
	/* the hint goes to the list by a release */
	atomic { drain(id); d=dry; if :: d&1 -> skip :: else -> complete(id, c); goto next fi };
moving:	atomic { cas_dry(); if :: d!=0 -> goto moving :: else -> complete(id, c); goto next fi };

no_hint:
	if
	:: rem[id]==0 -> skip
	:: atomic { rem[id]!=0 && dry==rem[id] -> assert(!some_done) }; goto next
	:: atomic { rem[id]!=0 -> rem[id]=0 }
	fi;
again:	atomic {
		c=0; set=0; first=0; second=0; drain(id); dry=dry|1; v=dry;
		if :: all_held -> saw_all[id]=1 :: else fi
	};
	membarrier();
scan:	atomic {
		w = word[c];
		if
		:: !is_free(w) -> goto scanned
		:: is_free(w) && is_mine(w) -> goto scan_claim
		:: else
		fi
	};
	n = epoch[lane_of(w)];
	f = whole(n, value(w));
	if
	:: settled[lane_of(w)]>=f -> goto scan_claim
#ifdef SKIP_BIASED
	:: else -> goto scanned
#else
	:: else
#endif
	fi;
#ifndef CLAIM_UNSETTLED
	/* Of the second reading: its free saw the dry bit. */
	if :: second -> goto scanned :: else fi;
#else
	if :: second -> goto scan_claim :: else fi;
#endif
	if :: first || !FIRST -> atomic { set=set|(1<<lane_of(w)); goto scanned } :: else fi;
	first = 1;
	move_epoch(lane_of(w), f, n);
	membarrier();
	settle(lane_of(w), n);
scan_claim:
	atomic { claim(id, c); if :: ok -> goto found :: else fi };
scanned:
	atomic {
		n=0; f=0; w=0; c++;
		if
		:: c<N -> goto scan
		:: c==N && set!=0 -> c=0
		:: else -> goto read
		fi
	};
	/* All lanes that were met: one membarrier for them. n, m: their epochs. */
	if
	:: set&2 -> n=epoch[1]; atomic { if :: epoch[1]==n -> epoch[1]=n+1 :: else fi }
	:: else
	fi;
#if LANES > 1
	if
	:: set&4 -> m=epoch[2]; atomic { if :: epoch[2]==m -> epoch[2]=m+1 :: else fi }
	:: else
	fi;
#endif
#ifndef BATCH_NO_BARRIER
	membarrier();
#endif
	if :: set&2 -> settle(1, n) :: else fi;
#if LANES > 1
	if :: set&4 -> settle(2, m) :: else fi;
#endif
#ifdef NO_SECOND
	goto read;
#endif
	atomic { set=0; n=0; m=0; second=1; goto scan };
read:	/* nobody has freed or found one since the bit was set? */
	atomic {
#ifndef TRUST_SCAN
		if :: !((dry&1) && dry/4==v/4) -> goto again :: else fi;
#endif
		assert(saw_all[id]);
		rem[id]=v; goto next
	};
found:	atomic { d=dry; if :: d&1 -> skip :: else -> goto next fi };
found_moving:
	atomic { cas_dry(); if :: d!=0 -> goto found_moving :: else -> goto next fi };

ended:	skip
	} unless { kill && id==1 };
	atomic {
		forget();
		if :: kill && id==1 -> dead=1; drain(1); rem[1]=0 :: else fi;
		running--
	}
}

proctype Reaper() {
	byte c, n, d;
	short w, y, i;
	if
	:: running==0 && !dead -> goto still
	:: dead
	fi;
	n = epoch[1];
	atomic { if :: epoch[1]==n -> epoch[1]=n+1 :: else fi };
	atomic { if :: settled[1]<n -> settled[1]=n :: else fi };
	i = intent[1];
	if
	:: i!=0 ->
		y = word[i&3];
		if
		:: is_free(y) && gen(y)==i/4 ->
			/* As if it had been claimed: free again when its leaf is done. */
			atomic {
				if
				:: word[i&3]==y -> word[i&3]=FREE(0,0,gen(y)+1); claimed(i&3); who[i&3]=4
				:: else
				fi
			}
		:: else
		fi
	:: else
	fi;
	owner[1] = 0;
leaf:	w = word[c];
	if
	:: is_free(w) -> skip
	:: !is_free(w) && value(w)==1 ->
		atomic {
			if
			:: word[c]==w -> word[c]=FREE(0,0,gen(w)+1); own[c]=0; who[c]=4; fin[c]=0
			:: else -> goto leaf_done
			fi
		}
	:: else -> goto leaf_done
	fi;
	/* its hint is set, and the dry word moved */
#ifndef REAP_NO_MOVE
	d = dry;
	if :: d&1 -> skip :: else -> goto leaf_fin fi;
leaf_moving:
	atomic { cas_dry(); if :: d!=0 -> goto leaf_moving :: else fi };
#endif
leaf_fin:
	atomic { if :: is_free(word[c]) && own[c]==0 && (who[c]==4 || who[c]==1) -> fin[c]=1 :: else fi };
leaf_done:
	atomic { c++; w=0; d=0; if :: c<N -> goto leaf :: else fi };
	running==0;
still:	atomic {
		sb_n[1]==0 && sb_n[2]==0 && (THREADS<3 || sb_n[THREADS]==0) ->
		c = 0;
		do
		:: c<N -> assert((is_free(word[c]) -> own[c]==0 : own[c]==value(word[c]))); c++
		:: else -> break
		od;
		c = 1;
		do
		:: c<=THREADS -> assert(rem[c]==0 || rem[c]!=dry || !some_free); c++
		:: else -> break
		od
	}
}

proctype Killer() {
	if :: atomic { kills_left>0 -> kills_left--; kill=1 } :: skip fi
}

init { atomic {
	byte j;
	/* Each free for a thread with a lane, or in its hands. */
	do
	:: j<N ->
		if
		:: word[j]=FREE(1+j%LANES, 1, 1); fin[j]=1
		:: word[j]=OWNED(1+j%LANES, 1+j%LANES, 1); own[j]=1+j%LANES
		fi;
		j++
	:: else -> break
	od;
	j = 1;
	do
	:: j<=LANES -> epoch[j]=1; owner[j]=j; j++
	:: else -> break
	od;
	run Memory(1); run Memory(2); run Thread(1); run Thread(2);
#if THREADS > 2
	run Memory(3); run Thread(3);
#endif
	run Reaper();
	if :: KILLS -> run Killer() :: else fi
} }
