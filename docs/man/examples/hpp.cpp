/* SPDX-License-Identifier: MIT */
/* A typed message through a queue, without exceptions; and what a message of another type is told. */
#include <cstdio>
#include <mempool.hpp>

struct point {
	static constexpr std::uint32_t mempool_tag = 7;
	double x, y;
};

static int fail(const char *what, const mempool::error &error)
{
	std::fprintf(stderr, "%s: %s %s\n", what, error.message(), error.reason());
	return 1;
}

int main()
{
	auto client = mempool::client::open();
	if (!client)
		return fail("open", client.error());
	auto queue = client->queue("work");
	if (!queue)
		return fail("queue", queue.error());

	auto made = client->make<point>(point{ 1.5, 2.5 });
	if (!made)
		return fail("make", made.error());
	if (auto sent = queue->send(std::move(*made)); !sent)
		return fail("send", sent.error());

	auto chunk = queue->receive(std::chrono::seconds(1));
	if (!chunk)
		return fail("receive", chunk.error());
	auto received = std::move(*chunk).as<point>();
	if (!received)
		return fail("another type", received.error());
	std::printf("%.1f %.1f\n", (*received)->x, (*received)->y);
	return 0;
}	/* What went out of scope is free; the client was closed with the last of it. */
