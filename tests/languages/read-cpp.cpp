/* SPDX-License-Identifier: MIT */
/* read-cpp.cpp - read-cpp SEGMENT: as read-c */
#include <cstdio>

#include "frames.h"
#include "mempool.hpp"

int main(int argc, char **argv)
{
	unsigned long long n_read = 0, n_missed = 0, n_wrong = 0;
	mempool::options options;

	options.segment = argc > 1 ? argv[1] : "";
	mempool::client client = mempool::client::open(options).value();
	mempool::subscriber subscriber = client.topic("camera").value().subscribe().value();

	std::puts("ready");
	std::fflush(stdout);
	for (;;) {
		mempool::published next = subscriber.next(mempool::forever).value();

		n_missed += next.missed;
		if (next.message.size() == 0)
			break;
		n_read++;
		n_wrong += !frames_are_right(next.message.data(), next.message.size());
	}
	std::printf("read %llu missed %llu wrong %llu\n", n_read, n_missed, n_wrong);
}
