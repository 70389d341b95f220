/* SPDX-License-Identifier: MIT */
/*
 * program.h - a small program given as text, and all results that it can have; for test-axioms.py
 */
#ifndef TESTS_EXPLORE_PROGRAM_H
#define TESTS_EXPLORE_PROGRAM_H

/*
 * Print each result: what was read, in the order of the text, then what x, y and z are in the end.
 * @text: threads are separated by '|', operations by ';'. An operation is
 *	W LOCATION VALUE ORDER		a store; a value is one digit
 *	R LOCATION ORDER		a load
 *	A LOCATION VALUE ORDER		a fetch_add
 *	F ORDER				a fence
 * without spaces; a location is x, y or z; an order is r, a, l, q or s: relaxed, acquire, release, acq_rel,
 * seq_cst.
 *
 * Return: 0, or 2 if that is no program.
 */
int program_run(const char *text);

#endif
