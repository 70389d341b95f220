/* SPDX-License-Identifier: MIT */
/* publish.cpp - publish SEGMENT N: so many pictures on the topic "camera", 30 a second */
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "frames.h"
#include "mempool.hpp"

int main(int argc, char **argv)
{
	mempool::options options;

	options.segment = argc > 1 ? argv[1] : "";
	mempool::client client = mempool::client::open(options).value();
	mempool::topic topic = client.topic("camera").value();
	const std::uint64_t n = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
	auto next = std::chrono::steady_clock::now();

	for (std::uint64_t sequence = 1; sequence <= n; sequence++) {
		/* No subscriber holds so many that there would be none. */
		mempool::chunk chunk = client.alloc(FRAMES_BYTES).value();
		auto *frame = static_cast<mempool_frame *>(chunk.data());
		auto *rows = reinterpret_cast<unsigned char *>(frame + 1);

		mempool_frame_init(frame, MEMPOOL_FRAME_GREY, FRAMES_WIDTH, FRAMES_HEIGHT, FRAMES_WIDTH);
		frame->sequence = sequence;
		for (unsigned int row = 0; row < FRAMES_HEIGHT; row++)
			std::memset(rows + std::size_t(row) * FRAMES_WIDTH, frames_value(sequence, row),
				    FRAMES_WIDTH);
		topic.publish(std::move(chunk)).value();
		std::this_thread::sleep_until(next += std::chrono::nanoseconds(1000000000 / 30));
	}
	mempool::chunk last = client.alloc(1).value();
	last.resize(0).value();
	topic.publish(std::move(last)).value();
	std::printf("published %llu\n", static_cast<unsigned long long>(n));
}
