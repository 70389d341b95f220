/* SPDX-License-Identifier: MIT */
/* test-header-cpp.cpp - the installed header serves C++ of any year as it is */
#include "mempool.h"
#include "mempool_frame.h"

int main(void)
{
	struct mempool_client_options options = {};
	struct mempool_client *client;
	struct mempool_frame frame;

	options.flags = MEMPOOL_CLIENT_DEBUG;
	mempool_frame_init(&frame, MEMPOOL_FRAME_GREY, 0, 0, 0);
	if (!mempool_frame_data(&frame, &frame, sizeof(frame)))
		return 1;
	/* 0 is no size of the options: refused before anything is asked of a daemon. */
	return mempool_version()[0] != '\0' && mempool_client_open(&options, &client) < 0 ? 0 : 1;
}
