/* SPDX-License-Identifier: MIT */
/*
 * slots.pml - messages that stand in the slots of a ring themselves (queues.md, section 5), for spin.
 *
 * One stream: a ring of CAP slots, each a word and two words of content. Two senders each want the role of its
 * sender. RECEIVERS: 1: two want that of the receiver; 2: two receive at once; 0: a topic, which both read.
 * A role is taken, given back and reaped as in role.pml.
 *
 *	word of a slot	EMPTY(round), FULL(round); of a topic also BUSY(round)
 *	send		content; word := FULL; tail + 1
 *	one receiver	word FULL(my round): copy; head + 1. The word stays: room is what the head has passed
 *	many		word FULL(my round): copy; swap the word to EMPTY(next round); failed: the copy is nothing
 *	publish		word := BUSY; content; word := FULL; tail + 1
 *	read		word FULL(my round): copy; the word again: as it was
 *	a new sender	at := tail; further, as long as that slot is of at's round, or of a later one
 *
 * The reaper gives roles back, and does nothing else. Whoever may die is killed before any access (KILLS).
 * Each step has one access. CLOSES roles are given back between two calls, and taken again.
 *
 * Checked: what is received is one message, whole, in order, and each once; a topic's reader is told of each
 * message that it got or missed; who finds the ring empty, or full: at some moment of the call it was; nothing is
 * lost but what a killed receiver of many has just taken; nobody waits for one that stands still (cc -DNP).
 *
 * tests/model/run builds and runs all of this. Each of these must give an assertion violation:
 *   -DNO_ROLE         both senders send, and with RECEIVERS=1 both receivers receive
 *   -DWORD_FIRST      the word before the content
 *   -DTAIL_FIRST      the tail before the word
 *   -DTAIL_TRUSTED    a new sender does not look at the slot of the tail
 *   -DPLACE_KEPT      who has the role again goes on from its own place
 *   -DNO_ROUND        words say only full or empty
 *   -DCONTENT_FIRST   the content before the look whether there is room
 *   -DHEAD_FIRST      the one receiver moves the head before it copies
 *   -DCLOSE_EARLY     ... gives the role back before it moves the head
 *   -DCOPY_LATE       one of many copies after its swap
 *   -DTAKE_STORE      ... empties the slot by a store
 *   -DNO_BUSY         a publisher writes over a message whose word still says FULL
 *   -DBUSY_LATE       ... says BUSY after the first of the content
 *   -DNO_VERIFY       a reader does not look at the word again
 */
#ifndef RECEIVERS
#define RECEIVERS 1
#endif
#ifndef CAP
#define CAP 2
#endif
#ifndef SENDS
#define SENDS 2
#endif
#ifndef SENDS2
#define SENDS2 1
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef CLOSES
#define CLOSES 1
#endif
#define N_SENDS(id) (id == 1 -> SENDS : SENDS2)
#define EMPTY 0
#define FULL  1
#define BUSY  2

byte kind[CAP], round[CAP];		/* words of the slots: one access reads or writes both */
byte first[CAP], second[CAP];		/* content: the position, and one */
byte head, tail;
byte sender, receiver;
bool killed[5];
byte running = 4, n_senders = 2, n_receivers = 2, kills_left = KILLS, closes_left = CLOSES;
byte nsent, nrecv;			/* ghosts */
byte n_got[5];				/* ghost, of a topic's reader: messages got and missed */
bool saw_empty[5], saw_full[5];

#ifdef NO_ROUND
#define ROUND(at) 0
#define NEXT(at)  0
#else
#define ROUND(at) ((at) / CAP)
#define NEXT(at)  ((at) / CAP + 1)
#endif

inline note() {
	if :: nsent == nrecv -> saw_empty[3] = 1; saw_empty[4] = 1 :: else fi;
	if :: nsent - nrecv == CAP -> saw_full[1] = 1; saw_full[2] = 1 :: else fi
}

inline die() {
#if KILLS > 0
	if
	:: kills_left > 0 -> kills_left--; killed[id] = 1; goto dead
	:: true
	fi
#else
	skip
#endif
}

/* Between two calls. */
inline may_close(role) {
	if
	:: atomic { closes_left > 0 -> die(); closes_left--; if :: role == id -> role = 0 :: else fi }
	:: true
	fi
}

#ifdef NO_ROLE
#define MAY_SEND(id) true
#define MAY_RECEIVE(id) true
#else
#define MAY_SEND(id) (sender == id)
#define MAY_RECEIVE(id) (RECEIVERS != 1 || receiver == id)
#endif

/* ---- senders ---- */

inline store_word(k) { atomic { die(); kind[at % CAP] = k; round[at % CAP] = ROUND(at) } }
inline store_first() { atomic { die(); first[at % CAP] = at + 1 } }

/* The message is sent: a ghost of the moment at which the word says FULL. */
inline fill() {
	atomic {
		die();
		assert(at == nsent && (RECEIVERS == 0 || nsent - nrecv < CAP));
		kind[at % CAP] = FULL; round[at % CAP] = ROUND(at);
		nsent++; note()
	}
}

proctype Sender(byte id) {
	byte n, at;
	do
	:: atomic { n == N_SENDS(id) -> break }
	:: atomic { n < N_SENDS(id) && !MAY_SEND(id) && sender == 0 -> die(); sender = id };
#ifdef PLACE_KEPT
		if :: at != 0 -> goto next :: else fi;
#endif
		atomic { die(); at = tail };
#if !defined(TAIL_TRUSTED) && !defined(NO_ROUND)
		do
		:: atomic { die();
			if
			:: kind[at % CAP] == FULL && round[at % CAP] == ROUND(at) -> at++
			:: kind[at % CAP] == EMPTY && round[at % CAP] == NEXT(at) -> at++
			:: else -> break
			fi }
		od
#endif
	:: n < N_SENDS(id) && MAY_SEND(id) ->
#ifdef CONTENT_FIRST
		store_first();
#endif
		/* Room? */
#if RECEIVERS == 1
		atomic {
			die();
			saw_full[id] = (nsent - nrecv == CAP);
			if :: at - head >= CAP -> assert(at - head == CAP && saw_full[id]); goto is_full :: else fi
		};
#elif RECEIVERS == 2
		atomic {
			die();
			saw_full[id] = (nsent - nrecv == CAP);
			if
			:: kind[at % CAP] == EMPTY && round[at % CAP] == ROUND(at)
			:: else -> assert(saw_full[id]); goto is_full
			fi
		};
#else
#if !defined(NO_BUSY) && !defined(BUSY_LATE)
		store_word(BUSY);
#endif
#endif
#ifdef WORD_FIRST
		fill();
#endif
#ifndef CONTENT_FIRST
		store_first();
#endif
#ifdef BUSY_LATE
		store_word(BUSY);
#endif
		atomic { die(); second[at % CAP] = at + 1 };
#ifdef TAIL_FIRST
		atomic { die(); tail = at + 1 };
#endif
#ifndef WORD_FIRST
		fill();
#endif
progress_sent:	atomic { die(); at++; tail = at; n++ };
		may_close(sender);
		goto next;
is_full:
progress_full:	if
		:: nsent - nrecv < CAP
		:: atomic { n_receivers == 0 && nsent - nrecv == CAP -> break }
		fi;
next:		skip
	od;
	atomic { die(); if :: sender == id -> sender = 0 :: else fi };
dead:	atomic { running--; n_senders--; n = 0; at = 0 }
}

/* ---- receivers ---- */

inline copy() {
	atomic { die(); a = first[at % CAP] };
	atomic { die(); b = second[at % CAP] }
}

/* What a call returns. */
inline got() {
	assert(a == at + 1 && b == at + 1); a = 0; b = 0
}

#if RECEIVERS != 0
proctype Receiver(byte id) {
	byte at, a, b;
	do
#if RECEIVERS == 1
	:: atomic { !MAY_RECEIVE(id) ->
		if
		:: receiver == 0 -> die(); receiver = id
		:: n_senders == 0 && nsent == nrecv -> break
		fi };
#ifdef PLACE_KEPT
		if :: at != 0 -> goto next :: else fi;
#endif
		atomic { die(); at = head }
#endif
	:: MAY_RECEIVE(id) ->
look:		atomic {
			die();
			saw_empty[id] = (nsent == nrecv);
			if
			:: kind[at % CAP] == FULL && round[at % CAP] == ROUND(at)
#if RECEIVERS == 1
			/* The round before, or nothing yet. */
			:: else -> assert(saw_empty[id]); goto is_empty
#else
			:: kind[at % CAP] == EMPTY && round[at % CAP] == ROUND(at) -> assert(saw_empty[id]); goto is_empty
			:: else -> at = (at + 1 > head -> at + 1 : head); goto look
#endif
			fi
		};
#if RECEIVERS == 1
#ifdef HEAD_FIRST
		atomic { die(); assert(head == at); head = at + 1; nrecv++; note() };
#endif
		copy();
#ifdef CLOSE_EARLY
		may_close(receiver);
#endif
#ifndef HEAD_FIRST
		/* The receipt. */
		atomic { die(); assert(head == at && at == nrecv); head = at + 1; nrecv++; note() };
#endif
		got();
#else
#ifndef COPY_LATE
		copy();
#endif
		/* The receipt, or somebody was faster. */
		atomic {
			die();
			if
#ifdef TAKE_STORE
			:: true ->
#else
			:: kind[at % CAP] == FULL && round[at % CAP] == ROUND(at) ->
#endif
				assert(at == nrecv);
				kind[at % CAP] = EMPTY; round[at % CAP] = NEXT(at); nrecv++; note()
#ifndef TAKE_STORE
			:: else -> a = 0; b = 0; at++; goto look
#endif
			fi
		};
#ifdef COPY_LATE
		copy();
#endif
		got();
		if
		:: atomic { (at + 1) % CAP == 0 -> die(); if :: head < at + 1 -> head = at + 1 :: else fi }
		:: else
		fi;
#endif
progress_received:
		at++;
#if RECEIVERS == 1
		may_close(receiver);
#endif
		goto next;
is_empty:
progress_empty:	if
		:: nsent > nrecv
		:: atomic { nsent == nrecv && n_senders == 0 -> break }
		fi;
next:		skip
	od;
	atomic { die(); if :: receiver == id -> receiver = 0 :: else fi };
dead:	atomic { running--; n_receivers--; at = 0; a = 0; b = 0 }
}

#else
/* A reader of a topic, from its first message on. Lapped, it goes on a round behind the tail. */
proctype Receiver(byte id) {
	byte at, a, b, t;
	do
	:: atomic { die(); t = tail };
		atomic {
			if
			:: t > at + CAP -> n_got[id] = n_got[id] + t - CAP - at; at = t - CAP
			:: else
			fi;
			t = 0
		};
		atomic {
			die();
			saw_empty[id] = (nsent <= at);
			if
			:: kind[at % CAP] == FULL && round[at % CAP] == ROUND(at)
			/* A later round is here, or is coming. */
			:: round[at % CAP] > ROUND(at) -> at++; n_got[id]++; goto next
			:: else -> assert(saw_empty[id]); goto is_empty
			fi
		};
		copy();
#ifndef NO_VERIFY
		atomic {
			die();
			if
			:: kind[at % CAP] == FULL && round[at % CAP] == ROUND(at)
			:: else -> a = 0; b = 0; goto next
			fi
		};
#endif
		got();
progress_received:
		atomic { at++; n_got[id]++; assert(n_got[id] == at) };
		goto next;
is_empty:
progress_empty:	if
		:: nsent > at
		:: atomic { nsent <= at && n_senders == 0 -> break }
		fi;
next:		skip
	od;
dead:	atomic { running--; n_receivers--; at = 0; a = 0; b = 0; t = 0 }
}
#endif

/* ---- the reaper ---- */

proctype Reaper() {
	do
	:: atomic { sender != 0 && killed[sender] -> sender = 0 }
	:: atomic { receiver != 0 && killed[receiver] -> receiver = 0 }
	:: atomic { running == 0 && !(sender != 0 && killed[sender]) && !(receiver != 0 && killed[receiver]) -> break }
	od;
	atomic {
		assert(sender == 0 && receiver == 0);
		assert(RECEIVERS == 0 || nsent == nrecv || (killed[3] && killed[4]))
	}
}

init {
	atomic {
		run Sender(1); run Sender(2); run Receiver(3); run Receiver(4);
		run Reaper()
	}
}
