/* SPDX-License-Identifier: MIT */
/*
 * move_slots.pml - messages that stand in slots move to the next generation (queues.md, section 6), for spin: move.pml
 *		    for messages that have no handle.
 *
 * MESSAGES wait in an old stream, which nobody lives in. The daemon takes the sender's role of the new one, and moves
 * one at a time, with a journal that outlives it: old and new position. It is killed between any two
 * steps (KILLS). The next daemon looks at the journal: what stands at the new position is of that round, or of a
 * later one: it was published, and only the old head is to be moved. Then its own id is reaped: the role is given
 * back; then it goes on. In the new generation a client receives, and sends OTHER messages of its own when it gets
 * the role.
 *
 * Checked: each message is received once, those of the old stream in their order; at the end the journal is clear, and
 * the role is nobody's.
 *
 * tests/model/run builds and runs all of this. Each of these must give an assertion violation:
 *   -DNO_JOURNAL     a new daemon does not look at the journal
 *   -DJOURNAL_LAST   the message is published before the journal names it
 *   -DOLD_FIRST   the journal is in force before it has the new position
 *   -DDROP_FIRST     the old head is moved before the message is published
 *   -DCLEAR_FIRST    the journal is cleared before the old head is moved
 *   -DREAP_FIRST     the role is given back before the journal is looked at
 *   -DNO_ROLE        the daemon publishes beside a client that has the role
 */
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef CAP
#define CAP 1
#endif
#ifndef OTHER
#define OTHER 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#define DAEMON 1
#define CLIENT 2

byte old_head;			/* messages 1 .. MESSAGES; this one and those behind it wait */
/* The new stream: by slot the round (and one) whose message stands there, and which message it is. */
byte mark[CAP], content[CAP], tail, head;
byte sender;
/* The journal. set: message, and one; 0: clear. */
byte journal_old, journal_at;
bool kill_daemon;
byte kills_left = KILLS;
byte last;			/* ghosts */
byte n_other, n_received;
bool daemon_is_over;

#define ROUND(at) ((at)/CAP + 1)
#define is_sent(at) (mark[(at)%CAP] >= ROUND(at))

inline find_place() {
	at = tail;
	do
	:: atomic { is_sent(at) -> at++ }
	:: else -> break
	od
}

inline publish(m) {
	atomic { assert(!is_sent(at) && at-head<CAP); content[at%CAP]=m };
	atomic { mark[at%CAP]=ROUND(at) };
	tail = at+1
}

inline write_journal() {
#ifdef OLD_FIRST
	journal_old = m+1;
	journal_at = at
#else
	journal_at = at;
	journal_old = m+1
#endif
}

inline move() {
	atomic { m = old_head };
	find_place();
	if
	:: at-head>=CAP -> is_full=1
	:: else ->
#ifdef DROP_FIRST
		old_head = m+1;
#endif
#ifndef JOURNAL_LAST
		write_journal();
#endif
		publish(m+1);
#ifdef JOURNAL_LAST
		write_journal();
#endif
#ifdef CLEAR_FIRST
		journal_old = 0;
#endif
		old_head = m+1;
		journal_old = 0
	fi;
	atomic { m=0; at=0 }
}

inline recover() {
	if
	:: journal_old==0 -> skip
	:: else ->
		if
		:: is_sent(journal_at) -> old_head = journal_old
		:: else
		fi;
		journal_old = 0
	fi
}

inline reap() { atomic { if :: sender==DAEMON -> sender=0 :: else fi } }

proctype Daemon() {
	byte m, at;
	bool is_full;
begin:	{
#ifdef REAP_FIRST
	reap();
#endif
#ifdef NO_JOURNAL
	journal_old = 0;
#else
	recover();
#endif
	reap();
	do
	:: old_head==MESSAGES -> break
	:: old_head<MESSAGES ->
		/* A living client has it: no place yet. */
#ifndef NO_ROLE
		atomic { sender==0 || sender==DAEMON -> sender=DAEMON };
#endif
		move();
		if
		:: is_full -> reap(); is_full=0; tail-head<CAP
		:: else
		fi
	od;
	reap();
	daemon_is_over = 1
	} unless { kill_daemon };
	if
	:: atomic { kill_daemon && !daemon_is_over -> kill_daemon=0; m=0; at=0; is_full=0; goto begin }
	:: else
	fi
}

proctype Client() {
	byte at, m;
	do
	:: n_other<OTHER ->
		atomic { sender==0 -> sender=CLIENT };
		find_place();
		if
		:: at-head<CAP -> publish(100); n_other++
		:: else
		fi;
		atomic { sender=0; at=0 };
		if :: tail-head==CAP -> tail-head<CAP :: else fi
	:: n_other==OTHER -> break
	od
}

proctype Receiver() {
	byte m;
	do
	:: atomic { is_sent(head) -> m = content[head%CAP] };
		atomic {
			head++; n_received++;
			if
			:: m==100
			:: m!=100 -> assert(m==last+1); last = m
			fi;
			m = 0
		}
	:: timeout ->
		/* Nothing moves any more. */
		assert(last==MESSAGES && n_received==MESSAGES+OTHER);
		assert(journal_old==0 && sender==0 && old_head==MESSAGES);
		break
	od
}

proctype Killer() {
	do
	:: atomic { kills_left>0 && !kill_daemon -> kills_left--; kill_daemon=1 }
	:: break
	od
}

init { atomic { run Daemon(); run Client(); run Receiver(); run Killer() } }
