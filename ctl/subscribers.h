/* SPDX-License-Identifier: MIT */
/*
 * subscribers.h - how subscribers get on between two looks
 *
 * One look cannot tell a subscriber that has stopped from one that is about to read. Two looks can: the
 * cursor of one that is stuck stands, with messages before it, while more come.
 */
#ifndef CTL_SUBSCRIBERS_H
#define CTL_SUBSCRIBERS_H

#include "gather.h"

/* Set the state of each one that was there at the earlier look, too. Both are put in the order of
 * topics and lines. */
void subscribers_compare(struct gathering *before, struct gathering *now);

#endif
