/* SPDX-License-Identifier: MIT */
/*
 * test-cpp.cpp - mempool.hpp on a segment: test-cpp SEGMENT
 *
 * The segment has pools of 16 chunks of 128 and 1024 bytes, a queue "work" for 4 messages and a topic "news"
 * that keeps 4, with stamps.
 */
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "mempool.hpp"

namespace
{

int n_failed;

void check(bool holds, const char *what)
{
	std::printf("%s - %s\n", holds ? "ok" : "not ok", what);
	n_failed += !holds;
}

struct point {
	static constexpr std::uint32_t mempool_tag = 7;
	double x, y;
};
struct other {
	static constexpr std::uint32_t mempool_tag = 8;
	double x, y;
};
struct longer {
	static constexpr std::uint32_t mempool_tag = 7;
	double x, y, z;
};
struct alignas(1024) wide {
	static constexpr std::uint32_t mempool_tag = 9;
	char c;
};

std::uint64_t used(const mempool::client &client)
{
	std::uint64_t n = 0;

	auto pools = client.pools();
	for (const mempool_pool_info &pool : *pools)
		n += pool.used;
	return n;
}

template <class Bytes> std::string_view text(const Bytes &bytes)
{
	return { reinterpret_cast<const char *>(bytes.data()), bytes.size() };
}

mempool::chunk with_text(const mempool::client &client, std::string_view text)
{
	mempool::chunk chunk = *client.alloc(text.size());

	std::memcpy(chunk.data(), text.data(), text.size());
	return chunk;
}

void test_chunks(const mempool::client &client)
{
	{
		auto chunk = client.alloc(100);
		check(chunk && chunk->size() == 100 && chunk->capacity() == 128, "a chunk has its size");
		check(used(client) == 1, "it is held");
		mempool::chunk moved = *std::move(chunk);
		check(!*chunk && moved && used(client) == 1, "a move leaves nothing behind");
		check(!moved.resize(129) && moved.resize(128) && moved.size() == 128, "resize has a bound");
		moved = *client.alloc(1000);
		check(used(client) == 1 && moved.capacity() == 1024, "an assignment frees what was there");
		mempool::chunk &same = moved;
		moved = std::move(same);
		check(moved && used(client) == 1, "and not if it is the same");
	}
	check(used(client) == 0, "what goes out of scope is free");
	check(client.alloc(2000).error().code() == EMSGSIZE, "a failed alloc says why");
	check(!mempool::chunk().set_tag(1) && mempool::chunk().capacity() == 0, "an empty chunk is harmless");

	mempool::chunk a = with_text(client, "give");
	std::uint64_t handle = *std::move(a).give();
	check(!a && used(client) == 1, "what is given is no longer here");
	auto taken = client.take(handle);
	check(taken && text(taken->bytes()) == "give", "who takes it has it");
	check(client.take(handle).error().code() == ESTALE, "once");
}

void test_many(const mempool::client &client)
{
	mempool::queue queue = *client.queue("work");
	auto chunks = client.alloc_many(1000, 20);

	check(chunks && chunks->size() == 16 && used(client) == 16, "as many as there are");
	check(client.alloc_many(1000, 1).error().code() == EAGAIN, "or none");
	chunks->resize(14);
	check(client.alloc_all(1000, 3).error().code() == EAGAIN && used(client) == 14, "all, or none");
	check(client.alloc_all(1000, 2)->size() == 2, "where they are there");
	check(used(client) == 14, "and they go back");
	for (std::size_t i = 0; i < chunks->size(); i++)
		*static_cast<std::size_t *>((*chunks)[i].data()) = i;
	check(*queue.send_many(*chunks) == 4 && chunks->size() == 10 && used(client) == 14, "as many as have room");
	check(*static_cast<std::size_t *>(chunks->front().data()) == 4, "the others are still here");
	check(queue.send_many(*chunks).error().code() == EAGAIN && chunks->size() == 10, "or none");
	auto received = queue.receive_many(4);
	check(received->size() == 4 && *static_cast<std::size_t *>(received->back().data()) == 3,
	      "they come in their order");
	received->clear();
	mempool::queue feed = *client.queue("feed");
	check(feed.send_all(*chunks).error().code() == EINVAL && chunks->size() == 10, "more than it has room for");
	chunks->resize(3);
	check(queue.send_all(*chunks).error().code() == EOPNOTSUPP && chunks->size() == 3, "of one sender");
	check(feed.send_all(*chunks) && chunks->empty(), "all of them");
	chunks = client.alloc_many(1000, 2);
	check(feed.send_all(*chunks).error().code() == EAGAIN && chunks->size() == 2, "or none at all");
	received = feed.receive_many(4);
	check(received->size() == 3 && *static_cast<std::size_t *>(received->front().data()) == 4, "they have come");
	chunks->clear();
	received->clear();
	check(used(client) == 0, "nothing is left of them");
}

void test_shared(const mempool::client &client)
{
	mempool::chunk chunk = with_text(client, "shared");
	mempool::shared_chunk shared = *std::move(chunk).share();
	auto second = client.acquire(*shared.handle());

	check(!chunk && second && text(second->bytes()) == "shared", "a shared chunk is acquired");
	check(second->data() == shared.data() && used(client) == 1, "it is the same one");
	check(!*shared.is_exclusive() && std::move(shared).unshare().error().code() == EBUSY && shared,
	      "shared by two it stays so");
	second->reset();
	auto alone = std::move(shared).unshare();
	check(alone && !shared && text(alone->bytes()) == "shared", "shared by one it is alone again");
}

void test_queue(const mempool::client &client)
{
	mempool::queue queue = *client.queue("work");

	for (int i = 0; i < 4; i++)
		check(bool(queue.send(with_text(client, std::to_string(i)))), "there is room");
	mempool::chunk sent = *queue.receive();
	check(queue.send(std::move(sent)) && !sent, "what is sent is no longer here");
	for (int i = 1; i < 4; i++)
		check(bool(queue.send(*queue.receive())), "they go round");
	mempool::chunk fifth = with_text(client, "4");
	check(queue.send(std::move(fifth)).error().code() == EAGAIN && fifth, "a full queue leaves the chunk");
	mempool::chunk oldest;
	check(queue.send_evict(std::move(fifth), oldest) && !fifth && text(oldest.bytes()) == "0",
	      "it may be sent for the oldest");
	check(queue.info()->length == 4, "the queue says how many it has");
	auto first = queue.receive(std::chrono::milliseconds(1));
	check(first && text(first->bytes()) == "1", "messages come in their order");
	auto others = queue.receive_many(10);
	check(others && others->size() == 3 && text(others->back().bytes()) == "4", "several at once");
	check(queue.receive().error().code() == EAGAIN, "until there is none");
	check(client.queue("nowhere").error().code() == ENOENT, "no queue of that name");

	std::thread sender([client, &queue] { (void)queue.send(with_text(client, "late")); });
	auto late = queue.receive(mempool::forever);
	sender.join();
	check(late && text(late->bytes()) == "late", "a receiver waits");
}

void test_types(const mempool::client &client)
{
	mempool::queue queue = *client.queue("work");

	check(bool(queue.send(*client.make<point>(1.5, 2.5))), "an object is sent");
	auto message = queue.receive();
	check(std::move(*message).as<other>().error().code() == mempool::wrong_type, "another tag is refused");
	check(std::move(*message).as<longer>().error().code() == mempool::wrong_type, "another size, too");
	auto received = std::move(*message).as<point>();
	check(received && (*received)->x == 1.5 && (*received)->y == 2.5, "and comes as what it was");
	auto wide = client.make<struct wide>('w');
	check(wide && reinterpret_cast<std::uintptr_t>(wide->get()) % 1024 == 0, "alignment is kept");
}

void test_topic(const mempool::client &client)
{
	mempool::topic topic = *client.topic("news");
	mempool::subscriber subscriber = *topic.subscribe();

	check(subscriber.next().error().code() == EAGAIN, "nothing is published yet");
	for (int i = 0; i < 6; i++)
		check(bool(topic.publish(with_text(client, std::to_string(i)))), "published");
	auto next = subscriber.next();
	check(next && next->missed == 2 && text(next->message.bytes()) == "2", "what was missed is told");
	check(next->message.stamp().has_value(), "and when it was published");
	mempool::object<point> object = *client.make<point>(3.0, 4.0);
	check(topic.publish(std::move(object)) && !object.message(), "an object is published");
	mempool::subscriber newest = *topic.subscribe(mempool::from::last(1));
	auto last = newest.next();
	auto shared = std::move(last->message).as<point>();
	check(shared && (*shared)->y == 4.0, "and read as what it was");

	mempool::subscriber again = *topic.subscribe(mempool::from::oldest());
	auto glimpse = again.peek();
	check(glimpse && text(glimpse->bytes) == "3" && again.verify(), "a peek is verified");
	std::array<char, 128> buffer;
	auto copied = again.copy(buffer.data(), buffer.size());
	check(copied && copied->size == 1 && buffer[0] == '4' && again.stamp(), "the next one is copied");
	check(again.copy(buffer.data(), 0).error().code() == EMSGSIZE, "a copy has a bound");
}

std::ptrdiff_t n_descriptors()
{
	const std::filesystem::directory_iterator all("/proc/self/fd");

	return std::distance(begin(all), end(all));
}

/* Whatever outlives the client that it came from. */
void test_life(const mempool::options &options)
{
	const std::ptrdiff_t before = n_descriptors();
	{
		mempool::client client = *mempool::client::open(options);
		mempool::client same = client;
		check(n_descriptors() > before && client.fd(), "a client has descriptors");
	}
	check(n_descriptors() == before, "it is closed with the last that uses it");

	mempool::chunk chunk;
	auto subscriber = [&] {
		mempool::client client = *mempool::client::open(options);
		chunk = with_text(client, "outlives");
		return *client.topic("news")->subscribe();
	}();

	check(text(chunk.bytes()) == "outlives", "a chunk outlives its client");
	check(subscriber.next().error().code() == EAGAIN, "a subscriber does");
	chunk.reset();

	/* What a forked child inherits is none of its. */
	mempool::client client = *mempool::client::open(options);
	chunk = with_text(client, "parent's");
	pid_t pid = fork();
	if (pid == 0) {
		bool refused = client.alloc(1).error().code() == ECHILD;

		chunk.reset();
		_exit(refused ? 0 : 1);
	}
	int status = -1;
	waitpid(pid, &status, 0);
	check(status == 0 && text(chunk.bytes()) == "parent's", "a forked child takes nothing away");
}

void test_errors(const mempool::options &options)
{
	mempool::options wrong = options;

	wrong.segment += "x";
	auto refused = mempool::client::open(wrong);
	check(refused.error().code() == ENOENT && std::strstr(refused.error().reason(), "there is no segment"),
	      "the daemon's reason is told");
	int code = 0;
	std::string what;
	try {
		(void)mempool::client::open(wrong).value();
	} catch (const mempool::failure &failure) {
		code = failure.code();
		what = failure.what();
	}
	check(code == ENOENT && what.find("there is no segment") != what.npos, "value() throws it");

	mempool::client client = mempool::client::open(options).value();
	code = 0;
	try {
		client.queue("work")->receive().value();
	} catch (const mempool::failure &failure) {
		code = failure.code();
	}
	check(code == EAGAIN, "value() of a wait throws");
}

void test_memory_resource(const mempool::client &client)
{
	mempool::memory_resource resource(client), same(client);
	{
		std::pmr::vector<int> numbers(&resource);

		for (int i = 0; i < 200; i++)
			numbers.push_back(i);
		check(used(client) == 1 && numbers[199] == 199, "a vector is in a chunk");
		bool threw = false;
		try {
			numbers.reserve(1000);
		} catch (const std::bad_alloc &) {
			threw = true;
		}
		check(threw && numbers[0] == 0, "which has a bound");
	}
	check(used(client) == 0 && resource == same, "and frees it");
}

} // namespace

int main(int argc, char **argv)
{
	mempool::options options;

	options.segment = argc > 1 ? argv[1] : "";
	options.timeout = std::chrono::seconds(10);
	{
		mempool::client client = mempool::client::open(options).value();

		check(client.role() && *client.role() == MEMPOOL_ROLE_MEMBER, "a member");
		check(client.fd() && *client.fd() > 2 && !client.is_stale() && client.wake(), "a descriptor");
		check(client.memory()->size() == 2 && client.queues()->size() == 2 && client.topics()->size() == 1,
		      "what the segment has");
		/* Topics keep messages, so they come last. */
		test_chunks(client);
		test_shared(client);
		/* The wake from above ends one wait. */
		(void)client.queue("work")->receive(std::chrono::milliseconds(1));
		test_queue(client);
		test_many(client);
		test_types(client);
		test_memory_resource(client);
	}
	test_errors(options);
	test_life(options);
	{
		mempool::client client = mempool::client::open(options).value();

		check(used(client) == 0, "nothing is left");
		test_topic(client);
		check(used(client) == 4, "nothing is left but what the topic keeps");
	}
	return n_failed > 0;
}
