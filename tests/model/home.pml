/* SPDX-License-Identifier: MIT */
/*
 * home.pml - a receiver's free goes to the lane of the sender (queues.md, section 4), for spin: what lanes.md
 *	      does not have, that somebody else than a lane's thread makes a word FREE for it.
 *
 * Thread 1 has lane 1, claims the chunk and sends it; thread 3 receives it and frees it for the lane and epoch
 * that the ring tells (home: an epoch in full). Thread 2 has no lane: it claims as well, and revokes the lane
 * where it must. The daemon gives a retired lane a new life. Words, lanes and store buffers are those of
 * lane_common.pml.
 *
 *   receiver	h := home. Not the one it has checked: homing := the lane; epoch of the lane: of the same
 *		life as h, and not retired? then h is checked. word := FREE(lane, h)
 *   daemon	a lane that is retired and has no owner: membarrier; is it anybody's homing? then not now.
 *		Else each word FREE(lane) := FREE(0); then its next epoch
 *
 * Checked: no two threads have the chunk; nobody is told that another's chunk is its own.
 *
 * tests/model/run builds and runs all of this. Each of these must give an assertion violation:
 *   -DNO_HOMING        the daemon does not ask for whom chunks come home
 *   -DHOMING_LATE      the receiver says so behind its look at the epoch
 *   -DNO_LIFE          ... does not look at the epoch
 *   -DRENEW_NO_BARRIER the daemon asks without a membarrier
 *   -DNO_MEMBARRIER    who revokes issues none
 *   -DNO_HELP          ... does not finish the claim under way
 */
#define THREADS 3
#define FREES_WAIT 1
#ifndef LIFE
#define LIFE 4
#endif
#include "lane_common.pml"
#ifndef OPS1
#define OPS1 2
#endif
#ifndef OPS2
#define OPS2 1
#endif
#ifndef MOVES
#define MOVES 3
#endif
#ifndef START
#define START 3
#endif
#ifndef RENEWALS
#define RENEWALS 1
#endif

#define homing intent[0]	/* thread 3 has no lane: its other store */
byte home = START;		/* in the ring */
bool sent;
byte running = 3, renewals_left = RENEWALS;

#define IS_SAME_LIFE(n, h) ((n)/LIFE == (h)/LIFE && low(n) != 0)

inline forget() { w=0; y=0; i=0; o=0; n=0; f=0 }

inline swap() {
	atomic {
		drain_word(id, 0);
		if :: word[0]==w -> word[0]=OWNED(l, id, gen(w)); told(id, 0) :: else fi;
		goto next
	}
}

/* FREE for whom it may be: the swap, behind a revocation if there must be one. */
inline claim_other() {
	if
	:: lane_of(w)==0 || lane_of(w)==l -> goto take_it
	:: else
	fi;
	n = epoch[1];
	f = whole(n, value(w));
	if
	:: settled[1]>=f -> goto take_it
	:: else
	fi;
	move_epoch(1, f, n);
	membarrier();
	settle(1, n)
}

/* The sender. */
proctype Sender() {
	byte ops, l, e, n, f, o, moved, id;
	short w, y, i;
	atomic { id=1; l=1; e=START; sb_lane[1]=1 };
next:	atomic {
		forget();
		if
		:: ops==OPS1 && own[0]!=1 -> goto ended
		:: own[0]==1 && !sent -> sent=1; goto next
		:: ops<OPS1 && own[0]!=1 -> skip
		:: l!=0 && low(e)!=0 && moved<MOVES && own[0]!=1 -> moved++; goto move_own
		:: l!=0 && low(epoch[1])==0 && own[0]!=1 -> goto end_lane
		:: l==0 && owner[1]==0 && low(epoch[1])!=0 -> owner[1]=1; l=1; goto readopt
		fi;
		see(1, 0, w);
		if
		:: !is_free(w) -> w=0; goto wait
		:: is_free(w) && l!=0 && e!=0 && low(e)!=0 && lane_of(w)==l && value(w)==low(e) -> ops++; goto plain
		:: else -> ops++; goto other
		fi
	};
	/* Held by others: until that changes, or there is something else to do. */
wait:	if
	:: atomic { is_free(word[0]) -> goto next }
	:: atomic { l!=0 && low(e)!=0 && moved<MOVES -> moved++; goto move_own }
	:: atomic { l!=0 && low(epoch[1])==0 -> goto end_lane }
	:: atomic { l==0 && owner[1]==0 && low(epoch[1])!=0 -> owner[1]=1; l=1; goto readopt }
	:: goto ended
	fi;
plain:	atomic { sb_n[1]<SB -> y=INTENT(0, gen(w)); put(1, 0, y) };
	if
	:: epoch[1]!=e -> goto moved_on
	:: epoch[1]==e
	fi;
	atomic { sb_n[1]<SB -> y=OWNED(l, 1, gen(w)); put(1, 1, y); told(1, 0); goto next };
moved_on:
	atomic {
		drain_word(1, 0);
		if
		:: word[0]==w -> word[0]=OWNED(l, 1, gen(w)); told(1, 0)
		:: word[0]==OWNED(l, 1, gen(w)) -> told(1, 0)
		:: else
		fi;
		w=0
	};
readopt:
	atomic { e=epoch[1]; if :: low(e)!=0 -> skip :: else -> e=0 fi };
	if :: e!=0 -> home=e :: else fi;
	goto next;
other:	claim_other();
take_it: swap();
move_own:
	n = epoch[1];
	atomic { drain(1); if :: epoch[1]==n && low(n)!=0 -> epoch[1]=n+1 :: else fi };
	atomic { if :: settled[1]<n -> settled[1]=n :: else fi };
	goto readopt;
	/* It is retired. What the ring tells stays: of who is killed here it does, too. */
end_lane:
	n = epoch[1];
	atomic { drain(1); if :: settled[1]<n -> settled[1]=n :: else fi };
	atomic { owner[1]=0; l=0; e=0 };
	goto next;
ended:	atomic { forget(); running--; if :: l!=0 -> drain(1) :: else fi }
}

/* One without a lane. */
proctype Other() {
	byte ops, l, n, f, o, id;
	short w, y, i;
	id = 2;
next:	atomic {
		forget();
		if
		:: own[0]==2 -> w=word[0]; own[0]=0; word[0]=FREE(0,0,gen(w)+1); w=0; goto next
		:: ops==OPS2 && own[0]!=2 -> goto ended
		:: ops<OPS2 && own[0]!=2 && is_free(word[0]) -> ops++; w=word[0]
		:: ops<OPS2 && own[0]!=2 -> goto ended
		fi
	};
	claim_other();
take_it: swap();
ended:	atomic { forget(); running-- }
}

proctype Receiver() {
	byte h, n, checked;
	short w, y;
	sb_lane[3]=0;
next:	atomic {
		w=0; y=0; h=0; n=0;
		if
		/* Who sees the slot sees all that its sender stored before it. */
		:: sent -> drain(1); drain(3); w=word[0]; assert(own[0]==1 && w==OWNED(lane_of(w),1,gen(w)));
			own[0]=3; sent=0; word[0]=OWNED(0,3,gen(w))
		:: running==1 -> goto ended
		:: checked!=0 -> goto leave
		fi
	};
	atomic {
		h=home;
		if :: h==checked -> goto free :: else -> checked=0 fi
	};
#ifdef HOMING_LATE
	n = epoch[1];
	atomic { sb_n[3]<SB -> put(3, 0, 1) };
#else
	atomic { sb_n[3]<SB -> put(3, 0, 1) };
	n = epoch[1];
#endif
	atomic {
		if
#ifndef NO_LIFE
		:: !IS_SAME_LIFE(n, h) -> h=0
#endif
		:: else -> checked=h
		fi
	};
free:	atomic {
		sb_n[3]<SB ->
		assert(own[0]==3); w=word[0]; own[0]=0;
		y = (h!=0 -> FREE(1, low(h), gen(w)+1) : FREE(0, 0, gen(w)+1));
		put(3, 1, y); goto next
	};
	/* It receives elsewhere, or closes. */
leave:	atomic { sb_n[3]<SB -> put(3, 0, 0); checked=0; goto next };
ended:	atomic { running--; drain(3) }
}

proctype Daemon() {
	short w;
	do
	:: running==0 -> break
	:: atomic { renewals_left>0 && low(epoch[1])==0 && owner[1]==0 -> skip };
#ifndef RENEW_NO_BARRIER
		membarrier();
#endif
		if
#ifndef NO_HOMING
		:: homing!=0 -> homing==0 || running==0
		:: homing==0 ->
#else
		:: true ->
#endif
			w = word[0];
			atomic {
				if
				:: is_free(w) && lane_of(w)==1 && word[0]==w -> word[0]=unbiased(w)
				:: else
				fi;
				w=0
			};
			atomic { assert(low(epoch[1])==0); epoch[1]=epoch[1]+1; renewals_left-- }
		fi
	od
}

init { atomic {
	word[0]=FREE(1, low(START), 1);
	epoch[1]=START; settled[1]=START-1; owner[1]=1;
	run Memory(1); run Memory(3);
	run Sender(); run Other(); run Receiver(); run Daemon()
} }
