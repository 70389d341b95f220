/* SPDX-License-Identifier: MIT */
/*
 * info.h - what there is to count of a queue or topic, as mempool.h has it
 */
#ifndef CLIENT_INFO_H
#define CLIENT_INFO_H

#include "mempool.h"
#include "shm/queue.h"
#include "shm/topic.h"

/* Both read all slots once, and write nothing. */
void info_of_queue(const struct queue *queue, struct mempool_queue_counts *ret_counts);
void info_of_topic(const struct topic *topic, struct mempool_topic_counts *ret_counts);

#endif
