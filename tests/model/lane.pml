/* SPDX-License-Identifier: MIT */
/*
 * lane.pml - claims without a locked instruction, for spin: chunks that are FREE for one lane, how
 * a lane is revoked, ended, reaped, used again, retired and swept, and turned off.
 *
 * The code is in shm/lane.c and client/claim.c. The first LANES threads have a lane, and may take a chunk
 * that they freed themselves by plain stores: intent, a look at the epoch, the word. Whoever else
 * wants such a chunk ends the epoch, issues a membarrier, and finishes the claim that may be
 * under way; then it claims by swap. So nobody waits for a thread that stands still.
 *
 *   thread   a hint is any chunk; FREE for its lane in its epoch: plain stores; else a swap, after
 *            the epoch was revoked if the word is of one that is not settled
 *            frees for its lane; without one, for everybody
 *            SCANS: the last one takes no lane, and ends whatever epoch a lane is in, as a scan
 *            does for the lanes that it noted
 *            MOVES: ends its own epoch, so that nobody needs a membarrier for what it freed
 *            ENDS: gives its lane back; TAKES: takes one that is free, and ends the epoch it is in
 *   daemon   lanes of the dead first: epoch moved and settled, the last intent cancelled, given
 *            back; then the words. LIFE: a retired lane that nobody has begins a new life after a
 *            sweep that has made its words everybody's
 *            OFF: plain stores are turned off, before the last thread, which has no membarrier,
 *            is let in
 * KILLS: the holder VICTIM may be killed between any two accesses, REBORN: its id is used again;
 * RKILLS: the daemon may be killed as well, and starts again. SAME: threads 1 and 2 are of one
 * client.
 *
 * Checked: no two threads are told that a chunk is theirs; when all stands still each word is FREE,
 * or names a living holder that was told so; who has no membarrier never meets a word that would
 * take one. Nobody waits: there is no loop but over chunks and lanes.
 *
 * Each of these must give an assertion violation:
 *   -DNO_MEMBARRIER    the revoker issues none
 *   -DNO_HELP          nor finishes what is under way
 *   -DNO_SETTLE        an epoch that was moved is taken for settled (-DTHREADS=3)
 *   -DHELP_ANY_GEN     it finishes a claim of an earlier incarnation
 *   -DNO_RECHECK       it does not look whether the lane was settled meanwhile: owner and intent may
 *                      be of two threads then
 *   -DNO_CHECK         the thread does not look at its epoch
 *   -DNO_INTENT        nor says which chunk it takes
 *   -DINTENT_RELAXED   the intent overtakes the word of the claim before (-DN=2)
 *   -DNO_HELPED        a swap that fails is not asked whether the claim was finished for it
 *   -DSAME_LANE        OWNED names the client alone (-DSAME)
 *   -DMANY_AT_ONCE     one look at the epoch for the intents of several chunks (-DN=2)
 *   -DEND_RELAXED      the thread's end of its own epoch overtakes its claims (-DMOVES=1)
 *   -DREAP_NO_CANCEL   a late revoker finishes a claim of the dead after the sweep
 *   -DTAKE_KEEPS_EPOCH a lane is taken in the epoch that it is in, and who adopts one settles nothing:
 *                      owner and intent may be of two threads then, where a scan ended epochs
 *                      meanwhile (-DSCANS=1 -DTHREADS=3). Each of both is enough
 *   -DREAP_OWNER_FIRST the lane is given back before it is settled
 *   -DWRAP             epochs wrap, without a sweep
 *   -DNO_TURN          the sweep leaves the words of a retired lane
 *   -DLIFE_FIRST       the new life begins before the sweep
 *   -DSWEEP_OWNED      the lane is swept while its thread may still write its name (-DN=2)
 *   -DOFF_FLAG_LAST    the epochs are moved, then plain stores turned off
 *   -DOFF_NO_BARRIER   no membarrier is issued for it
 *   -DWELCOME_FIRST    the one without membarrier is let in before
 *   -DADOPT_FLAG_FIRST a thread looks whether plain stores are on, then at its epoch
 *   -DADOPT_NO_FLAG    it does not look
 *
 * Not mutants, since nothing is wrong without them: a lane without an owner keeps its epoch when
 * plain stores are turned off (-DOFF_OWNED_ONLY: the one that takes it sees the flag, in one order
 * of all steps); the reaper keeps the epoch of the dead (-DREAP_KEEP_EPOCH: the one that takes the
 * lane ends it); settled goes back (a membarrier more).
 */
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
#ifndef KILLS
#define KILLS 0
#endif
#ifndef VICTIM
#define VICTIM 1		/* the holder that is killed */
#endif
#ifndef RKILLS
#define RKILLS 0		/* of the daemon */
#endif
#ifndef REBORN
#define REBORN 0		/* a dead holder's id is used again */
#endif
#ifndef ENDS
#define ENDS 0			/* threads give their lanes back, 1 each */
#endif
#ifndef MOVES
#define MOVES 0			/* so often a thread ends its own epoch */
#endif
#ifndef SCANS
#define SCANS 0			/* the last thread ends epochs that it knows no word of */
#endif
#ifndef START
#define START 1			/* the first epoch of the lanes */
#endif
#ifndef OFF
#define OFF 0			/* the last thread has no membarrier: plain stores are turned off */
#endif

bool kill[THREADS+1], dead[THREADS+1], reaped[THREADS+1], rkill;
byte running = THREADS, kills_left = KILLS, rkills_left = RKILLS;
byte claims = 1;		/* whether plain stores are on */
bool welcome;			/* the one without membarrier has been let in */

/* Whether its stores matter: of who never has a lane all are released before anything depends on them. */
#define stores_wait(id) (id<=LANES || TAKES)
#define has_barrier(id) (!OFF || id!=THREADS)
#define may_take(id) (TAKES && has_barrier(id) && (!SCANS || id!=THREADS))

/* The epoch that a thread goes by; 0: none, by swap alone. */
inline adopt(id) {
#ifdef ADOPT_FLAG_FIRST
	y = claims;
	e = epoch[l];
	if :: !y -> e=0 :: else fi; y=0
#else
	e = epoch[l];
#if OFF && !defined(ADOPT_NO_FLAG)
	if :: !claims -> e=0 :: else fi
#endif
#endif
}
#define is_plain (l!=0 && e!=0 && low(e)!=0)

inline forget() { c=0; w=0; y=0; i=0; o=0; n=0; f=0 }

proctype Thread(byte id) {
	byte ops, c, l, e, n, f, o, ends, moved;
	bool ending;
	short w, y, i;
	if
	:: id<=LANES -> atomic { l=id; e=START; sb_lane[id]=l }
	:: else
	fi;
#if OFF
	if :: id==THREADS -> welcome :: else fi;
#endif
again:
	{
	skip;
next:	atomic {
		forget();
		if
		:: ops==OPS_OF(id) -> goto ended
		:: ops<OPS_OF(id) && own[0]!=id -> c=0
#if N > 1
		:: ops<OPS_OF(id) && own[1]!=id -> c=1
#endif
		:: own[0]==id -> c=0; goto free
#if N > 1
		:: own[1]==id -> c=1; goto free
#endif
		:: l!=0 && e!=0 && low(e)!=0 && moved<MOVES -> moved++; goto move_own
		:: l!=0 && ends<ENDS -> ends++; ending=1; goto move_own
#if RETIRES
		:: l!=0 && low(e)==0 -> ending=1; goto move_own	/* retired: another one, or none */
#endif
#ifdef MANY_AT_ONCE
		:: ops<OPS_OF(id) && own[0]!=id && own[1]!=id && is_plain -> ops++; goto many
#endif
		:: l==0 && may_take(id) && (owner[1]==0
#if LANES > 1
			|| owner[2]==0
#endif
			) -> goto take
		fi;
		ops++;
		see(id, c, w);
		if
		:: !is_free(w) -> goto next
		:: is_free(w) && is_plain && lane_of(w)==l && value(w)==low(e) -> goto plain
		:: else -> goto other
		fi
	};

	/* FREE for this lane in the epoch that the thread goes by. */
plain:
#ifndef NO_INTENT
	atomic { sb_n[id]<SB -> y=INTENT(c, gen(w)); put(id, 0, y) };
#endif
#ifndef NO_CHECK
	if
	:: epoch[l]!=e -> goto moved_on
	:: epoch[l]==e -> skip
	fi;
#endif
	atomic { sb_n[id]<SB -> y=OWNED(l, holder_of(id), gen(w)); put(id, c+1, y); told(id, c); goto next };
moved_on:
	atomic {
		drain_word(id, c);
		if
		:: word[c]==w -> word[c]=OWNED(l, holder_of(id), gen(w)); told(id, c)
#ifndef NO_HELPED
		:: word[c]==OWNED(l, holder_of(id), gen(w)) -> told(id, c)
#endif
		:: else
		fi;
		w=0; c=0
	};
readopt:
	adopt(id);
#ifndef TAKE_KEEPS_EPOCH
	/* It has no claim under way, and its stores are before: the epochs before are settled by that. */
	atomic {
		drain(id);
		if :: e!=0 && settled[l]<e-1 -> settled[l]=e-1 :: else fi
	};
#endif
	goto next;

#ifdef MANY_AT_ONCE
	/* both chunks: their intents, and one look at the epoch for them */
many:	atomic {
		see(id, 0, w); see(id, 1, i);
		if
		:: w==FREE(l, low(e), gen(w)) && i==FREE(l, low(e), gen(i)) -> skip
		:: else -> goto next
		fi
	};
	atomic { sb_n[id]<SB -> y=INTENT(0, gen(w)); put(id, 0, y) };
	atomic { sb_n[id]<SB -> y=INTENT(1, gen(i)); put(id, 0, y) };
	if
	:: epoch[l]!=e -> goto next
	:: epoch[l]==e -> skip
	fi;
	atomic { sb_n[id]<SB -> y=OWNED(l, holder_of(id), gen(w)); put(id, 1, y); told(id, 0) };
	atomic { sb_n[id]<SB -> y=OWNED(l, holder_of(id), gen(i)); put(id, 2, y); told(id, 1); goto next };
#endif

	/* FREE for all, or for a lane that is not mine in this epoch. */
other:
	if
	:: lane_of(w)==0 || lane_of(w)==l -> goto swap
	:: else
	fi;
	/* the settled ones before the epoch: what is settled stays so */
	n = epoch[lane_of(w)];
	f = whole(n, value(w));
	if
#ifdef NO_SETTLE
	:: n!=f -> goto swap
#endif
	:: settled[lane_of(w)]>=f -> goto swap
	:: else
	fi;
	if :: !has_barrier(id) -> assert(false) :: else fi;
#if SCANS
	if
	:: id==THREADS -> move_any_epoch(lane_of(w), n)
	:: else -> move_epoch(lane_of(w), f, n)
	fi;
#else
	move_epoch(lane_of(w), f, n);
#endif
	membarrier();
	settle(lane_of(w), n);
swap:	atomic {
		drain_word(id, c);
		if
		:: word[c]==w -> word[c]=OWNED(
#ifdef SAME_LANE
			1
#else
			l
#endif
			, holder_of(id), gen(w)); told(id, c)
		:: else
		fi;
		goto next
	};

free:	atomic {
		sb_n[id]<SB ->
		assert(own[c]==id); see(id, c, w); assert(!is_free(w) && value(w)==holder_of(id));
		own[c]=0;
		w = (is_plain -> FREE(l, low(e), gen(w)+1) : FREE(0, 0, gen(w)+1));
		put(id, c+1, w);
		if :: !stores_wait(id) -> drain(id) :: else fi;
		goto next
	};

	/* The thread ends its own epoch: it has no claim under way, so there is nothing to help. */
move_own:
	n = epoch[l];
	atomic {
#ifndef END_RELAXED
		drain(id);
#endif
		if :: epoch[l]==n && low(n)!=0 -> epoch[l]=n+1 :: else fi
	};
	atomic { if :: settled[l]<n -> settled[l]=n :: else fi };
	if
	:: ending -> atomic { owner[l]=0; l=0; e=0; ending=0 }; goto next
	:: else -> goto readopt
	fi;

take:	atomic {
		if
		:: owner[1]==0 -> owner[1]=holder_of(id); l=1
#if LANES > 1
		:: owner[2]==0 -> owner[2]=holder_of(id); l=2
#endif
		:: else -> goto next
		fi;
		drain(id); sb_lane[id]=l
	};
#ifndef TAKE_KEEPS_EPOCH
	/* Whoever is to settle an epoch up to this one is through, or finds it settled. */
take_end:
	n = epoch[l];
	if
	:: low(n)==0 -> atomic { owner[l]=0; l=0 }; goto next
	:: else
	fi;
	atomic { if :: epoch[l]==n -> epoch[l]=n+1 :: else -> goto take_end fi };
	atomic { if :: settled[l]<n -> settled[l]=n :: else fi };
#endif
	goto readopt;

ended:	skip
	} unless { kill[holder_of(id)] };
	atomic {
		forget();
		if
		:: kill[holder_of(id)] -> dead[id]=1; drain(id); l=0; e=0; ending=0
		:: else
		fi;
		if :: dead[id] && REBORN -> skip :: else -> running--; goto gone fi
	};
	atomic { reaped[id] -> dead[id]=0; reaped[id]=0; kill[id]=0; goto again };
gone:	skip
}

#define is_dead(h)  (h!=0 && dead[h] && !reaped[h])
#define any_dead (is_dead(1) || (THREADS>1 && is_dead(2)) || (THREADS>2 && is_dead(THREADS)))

/* Retired, and its thread knows: nobody writes its name into a word. */
#if RETIRES
#ifdef SWEEP_OWNED
#define is_retired(l) (low(epoch[l])==0)
#else
#define is_retired(l) (low(epoch[l])==0 && owner[l]==0)
#endif
#if LANES > 1
#define any_retired (is_retired(1) || is_retired(2))
#else
#define any_retired is_retired(1)
#endif
#else
#define any_retired false
#endif

/* A new life of the lanes that were swept. */
inline renew() {
	l = 1;
	do
	:: l<=LANES ->
		atomic { if :: ret[l] -> assert(low(epoch[l])==0); epoch[l]=epoch[l]+1; ret[l]=0 :: else fi; l++ }
	:: else -> break
	od;
	l = 0
}

proctype Daemon() {
	byte c, l, n, o, h;
	short w, y, i;
	bool set[THREADS+1], ret[LANES+1];
#if OFF
#ifdef WELCOME_FIRST
	welcome = 1;
#endif
#ifndef OFF_FLAG_LAST
	claims = 0;
#endif
	l = 1;
	do
	:: l<=LANES ->
#ifdef OFF_OWNED_ONLY
		if
		:: owner[l]==0 -> skip
		:: else ->
#endif
		n = epoch[l];
		atomic { if :: epoch[l]==n -> epoch[l]=n+1 :: else fi };
#ifndef OFF_NO_BARRIER
		membarrier();
#endif
		settle(l, n);
#ifdef OFF_OWNED_ONLY
		fi;
#endif
		atomic { l++; n=0 }
	:: else -> break
	od;
	atomic { l=0; n=0; claims=0; welcome=1 };
#endif
again:
	{
	do
	:: atomic { running==0 && !any_dead -> break }
	:: atomic { any_dead || any_retired ->
		h = 1;
		do
		:: h<=THREADS -> set[h]=is_dead(h); h++
		:: else -> break
		od;
		h = 0; l = 1
	   };
	   /* lanes first */
	   do
	   :: l<=LANES ->
		if
		:: set[owner[l]] ->
#ifdef REAP_OWNER_FIRST
			owner[l] = 0;
#endif
#ifndef REAP_KEEP_EPOCH
			n = epoch[l];
			atomic { if :: epoch[l]==n && low(n)!=0 -> epoch[l]=n+1 :: else fi };
			atomic { if :: settled[l]<n -> settled[l]=n :: else fi };
#endif
#ifndef REAP_NO_CANCEL
			i = intent[l];
			if
			:: i!=0 ->
				y = word[i&3];
				if
				:: is_free(y) && gen(y)==i/4 ->
					atomic { if :: word[i&3]==y -> word[i&3]=FREE(0,0,gen(y)+1) :: else fi }
				:: else
				fi
			:: else
			fi;
#endif
#ifndef REAP_OWNER_FIRST
			owner[l] = 0;
#endif
		:: else
		fi;
		atomic { l++; n=0; i=0; y=0 }
	   :: else -> break
	   od;
	   l = 0;
#if RETIRES
	   atomic {
		ret[1] = is_retired(1);
#if LANES > 1
		ret[2] = is_retired(2);
#endif
	   };
#ifdef LIFE_FIRST
	   renew();
#endif
#endif
	   do
	   :: c<N ->
		w = word[c];
		if
#if RETIRES && !defined(NO_TURN)
		:: is_free(w) && lane_of(w)!=0 && ret[lane_of(w)] ->
			atomic { if :: word[c]==w -> word[c]=unbiased(w) :: else fi }
#endif
		:: !is_free(w) && set[value(w)] ->
			atomic {
				if
				:: word[c]==w -> word[c]=FREE(0,0,gen(w)+1);
					assert(own[c]==0 || set[holder_of(own[c])]); own[c]=0
				:: else
				fi
			}
		:: else
		fi;
		atomic { c++; w=0 }
	   :: else -> break
	   od;
#if RETIRES && !defined(LIFE_FIRST)
	   renew();
#endif
	   atomic {
		c=0; h = 1;
		do
		:: h<=THREADS -> if :: set[h] -> reaped[h]=1 :: else fi; set[h]=0; h++
		:: else -> break
		od;
		h = 0
	   }
	od
	} unless { rkill };
	if
	:: rkill -> atomic { rkill=0; c=0; l=0; n=0; h=0; w=0; y=0; i=0; o=0; ret[1]=0 }; goto again
	:: else
	fi;
	/* everything stands still */
	atomic {
		sb_n[1]==0 && (THREADS<2 || sb_n[2]==0) && (THREADS<3 || sb_n[THREADS]==0) ->
		c = 0;
		do
		:: c<N ->
			assert((is_free(word[c]) -> own[c]==0 : holder_of(own[c])==value(word[c])));
			assert(is_free(word[c]) || !dead[value(word[c])]);
			c++
		:: else -> break
		od
	}
}

proctype Killer() {
	do
	:: atomic { kills_left>0 -> kills_left--; kill[VICTIM]=1 }
	:: atomic { rkills_left>0 -> rkills_left--; rkill=1 }
	:: break
	od
}

init { atomic {
	byte j;
	do
	:: j<N -> word[j]=(j<LANES -> FREE(j+1, low(START), 1) : FREE(1, low(START), 1)); j++
	:: else -> break
	od;
	j = 1;
	do
	:: j<=LANES -> epoch[j]=START; settled[j]=START-1; owner[j]=holder_of(j); j++
	:: else -> break
	od;
	run Memory(1); run Thread(1);
#if THREADS > 1
	run Thread(2);
#if LANES > 1 || TAKES
	run Memory(2);
#endif
#endif
#if THREADS > 2
	run Thread(3);
#if LANES > 2 || TAKES
	run Memory(3);
#endif
#endif
	run Daemon();
	if :: KILLS+RKILLS -> run Killer() :: else fi
} }
