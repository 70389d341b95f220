/* SPDX-License-Identifier: MIT */
/*
 * wake.pml - a message that is published by a plain store, and one that sleeps (queues.md, section 3), for spin.
 *
 * The sender's store of the slot waits in its store buffer while it looks whether somebody is armed. So the sleeper
 * pays: it arms, issues a membarrier, looks again, sleeps. A sender that cannot register for membarrier (FENCES)
 * puts a full barrier of its own between the two. What else an eventcount does is in poller.pml.
 *
 * The same holds with the sides changed: the receiver's store of the head, and a sender that sleeps for room.
 *
 * Checked: when all stands still, nobody sleeps beside a message.
 *
 * tests/model/run builds and runs all of this. Each of these must give an assertion violation:
 *   -DNO_MEMBARRIER  the sleeper issues none
 *   -DBARRIER_FIRST  ... before it arms
 *   -DBARRIER_LAST   ... behind its second look
 *   -DNO_FENCE       a sender that is not registered has no barrier of its own (-DFENCES)
 *   -DARMED_FIRST    the sender looks whether somebody is armed before it publishes
 */
#ifndef MESSAGES
#define MESSAGES 2
#endif
byte slot, buffered;		/* published so far: in memory; and in the sender's buffer, 0: nothing */
byte armed;			/* odd: somebody is; it counts */
byte sequence, got;

inline drain() { if :: buffered!=0 -> slot=buffered; buffered=0 :: else fi }

#ifdef FENCES
#define membarrier() skip	/* it does not reach the sender */
#else
#define membarrier() atomic { drain(); skip }
#endif

/* Stores arrive some time. */
active proctype Memory() {
end:	do
	:: atomic { buffered!=0 -> drain() }
	od
}

active proctype Sender() {
	byte n, a;
	do
	:: n==MESSAGES -> break
	:: n<MESSAGES ->
#ifdef ARMED_FIRST
		a = armed;
#endif
		atomic { n++; drain(); buffered=n };
#if defined(FENCES) && !defined(NO_FENCE)
		atomic { drain(); skip };
#endif
#ifndef ARMED_FIRST
		a = armed;
#endif
		if
		:: a&1 ->
			a = armed;
			atomic { drain(); sequence++ };
			atomic { if :: armed==a && (a&1) -> armed=a-1 :: else fi }
		:: else
		fi;
		a = 0
	od
}

active proctype Receiver() {
	byte s;
	do
	:: got==MESSAGES -> break
	:: got<MESSAGES ->
		if
		:: atomic { slot>got -> got++; goto next }
		:: slot==got
		fi;
#ifdef BARRIER_FIRST
		membarrier();
#endif
		s = sequence;
		armed = (armed+2)|1;
#if !defined(NO_MEMBARRIER) && !defined(BARRIER_FIRST) && !defined(BARRIER_LAST)
		membarrier();
#endif
		if
		:: slot>got -> goto next
		:: slot==got
		fi;
#ifdef BARRIER_LAST
		membarrier();
#endif
		if
		:: sequence!=s
		:: timeout -> assert(false)
		fi;
next:		s = 0
	od
}
