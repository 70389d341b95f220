/* SPDX-License-Identifier: MIT */
/*
 * iceoryx.cpp - iceoryx 2, by its C++ API: a RouDi of its own, untyped publishers and
 *		 subscribers
 *
 * Alloc and free are loan and release of a publisher, which may have 8 loans at a time.
 * The subscribers' queues hold IN_FLIGHT samples and hold the publisher up when they are
 * full, so that nothing is lost. Its names are the same for all: where a RouDi runs
 * already, this one does not start, and is left out.
 */
#include <grp.h>
#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <string>

#include "iceoryx_posh/popo/untyped_publisher.hpp"
#include "iceoryx_posh/popo/untyped_subscriber.hpp"
#include "iceoryx_posh/popo/wait_set.hpp"
#include "iceoryx_posh/popo/subscriber.hpp"
#include "iceoryx_posh/roudi/introspection_types.hpp"
#include "iceoryx_posh/runtime/posh_runtime.hpp"

#include "adapter.h"

#define HAS_POOL
#define HAS_CHANNELS
#define HAS_BLOCKING
#define HAS_TOPIC
#define HAS_COUNT
#define HAS_BROKER

using namespace iox;

static pid_t broker;
static std::string names; /* of the processes, less their number */
static std::optional<popo::UntypedPublisher> publisher;
static std::optional<popo::UntypedSubscriber> subscriber;
static std::optional<popo::WaitSet<>> waitset;

/* ---- RouDi ---- */

static std::string write_config(void)
{
	char path[] = "/tmp/bench-iceoryx-XXXXXX";
	std::string text = "[general]\nversion = 1\n[[segment]]\n";
	int fd = mkstemp(path);

	/* So many a segment, unless it is compiled anew. */
	if (setup.n_pools > MAX_NUMBER_OF_MEMPOOLS)
		skip("it has fewer pools at most");
	for (uint64_t i = 0; i < setup.n_pools; i++)
		text += "[[segment.mempool]]\nsize = " + std::to_string(setup.bytes + 64 * i) +
			"\ncount = " + std::to_string(setup.n_chunks) + "\n";
	if (fd < 0 || write(fd, text.data(), text.size()) != (ssize_t)text.size())
		fail("no config for RouDi");
	close(fd);
	return path;
}

/* Its word that it is ready goes into a file, which never fills up as a pipe does. */
static bool is_ready(FILE *said)
{
	char text[8192];
	ssize_t length = pread(fileno(said), text, sizeof(text) - 1, 0);

	text[length > 0 ? length : 0] = '\0';
	return strstr(text, "RouDi is ready for clients") != nullptr;
}

static double broker_start(void)
{
	std::string config = write_config();
	FILE *said = tmpfile();
	uint64_t begin = clock_ns();
	int status;

	if (!said)
		fail("no temporary file");
	broker = fork();
	if (broker == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fileno(said), STDOUT_FILENO);
		dup2(fileno(said), STDERR_FILENO);
		execlp("iox-roudi", "iox-roudi", "-c", config.c_str(), (char *)nullptr);
		_exit(127);
	}
	while (!is_ready(said)) {
		if (waitpid(broker, &status, WNOHANG) != 0 ||
		    clock_ns() - begin > 10000000000) {
			unlink(config.c_str());
			skip("iox-roudi does not start (another one runs?)");
		}
		usleep(100);
	}
	begin = clock_ns() - begin;
	fclose(said);
	unlink(config.c_str());
	return (double)begin / 1e9;
}

/* One that hangs, as when a process died with a lock, does not end by itself. */
static void broker_stop(void)
{
	kill(broker, SIGTERM);
	for (int i = 0; i < 3000; i++) {
		if (waitpid(broker, nullptr, WNOHANG) != 0)
			return;
		usleep(1000);
	}
	kill(broker, SIGKILL);
	waitpid(broker, nullptr, 0);
}

static pid_t broker_pid(void)
{
	return broker;
}

static void broker_guest(void)
{
}

/* Its own object, and one for each group that may write: here one, named as the group is.
 */
static uint64_t broker_segment_bytes(void)
{
	struct group *group = getgrgid(getgid());
	struct stat about;
	uint64_t bytes = 0;

	for (std::string name :
	     {std::string("iceoryx_mgmt"), std::string(group->gr_name)})
		if (stat(("/dev/shm/" + name).c_str(), &about) == 0)
			bytes += (uint64_t)about.st_size;
	return bytes;
}

/* ---- sides ---- */

/* Who is killed leaves a socket and a lock in /tmp. */
static void remove_sockets(void)
{
	for (auto &entry : std::filesystem::directory_iterator("/tmp"))
		if (entry.path().filename().string().rfind(names, 0) == 0)
			std::filesystem::remove(entry.path());
}

/*
 * RouDi, when it ends, kills every process that has a runtime, and a runtime goes with
 * exit() only. So this process has none: a child measures, and RouDi is stopped when it
 * has ended.
 */
static void system_open(void)
{
	int status = 1;
	pid_t pid;

	if (setup.is_threads)
		skip("measured as processes");
	names = "bench-iceoryx-" + std::to_string(getpid()) + "-";
	broker_start();
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return;
	}
	waitpid(pid, &status, 0);
	broker_stop();
	remove_sockets();
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void system_close(void)
{
}

static capro::IdString_t id(const char *text)
{
	return capro::IdString_t(cxx::TruncateToCapacity, text);
}

static void open_publisher(const char *event)
{
	popo::PublisherOptions options;

	if (setup.kind == WORK_CHANNELS)
		options.subscriberTooSlowPolicy =
			popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
	publisher.emplace(capro::ServiceDescription("bench", "bench", id(event)),
			  options);
}

static void open_subscriber(const char *event)
{
	popo::SubscriberOptions options;

	options.queueCapacity = IN_FLIGHT;
	if (setup.kind == WORK_CHANNELS)
		options.queueFullPolicy = popo::QueueFullPolicy::BLOCK_PRODUCER;
	subscriber.emplace(capro::ServiceDescription("bench", "bench", id(event)),
			   options);
	if (setup.is_asleep) {
		waitset.emplace();
		waitset->attachState(*subscriber, popo::SubscriberState::HAS_DATA)
			.or_else([](auto) { fail("wait set"); });
	}
}

/* What is published before they know each other is lost. */
static void await_each_other(void)
{
	while ((publisher && !publisher->hasSubscribers()) ||
	       (subscriber &&
		subscriber->getSubscriptionState() != SubscribeState::SUBSCRIBED))
		usleep(1000);
}

static void system_join(int side)
{
	std::string name = names + std::to_string(getpid());

	runtime::PoshRuntime::initRuntime(RuntimeName_t(cxx::TruncateToCapacity, name));
	if (setup.kind == WORK_TOPIC) {
		side == 0 ? open_publisher("topic") : open_subscriber("topic");
	} else if (setup.kind == WORK_KILL) {
		open_publisher("kill");
		open_subscriber("kill");
	} else {
		open_publisher(side == 0 ? "there" : "back");
		if (setup.kind == WORK_CHANNELS)
			open_subscriber(side == 0 ? "back" : "there");
	}
	if (setup.kind == WORK_CHANNELS || setup.kind == WORK_TOPIC)
		await_each_other();
}

static void system_leave(int side)
{
	(void)side;
	waitset.reset();
	subscriber.reset();
	publisher.reset();
}

static inline void *system_alloc(size_t bytes)
{
	void *chunk = nullptr;

	publisher->loan((uint32_t)bytes).and_then([&](void *loaned) { chunk = loaned; });
	return chunk;
}

static inline void system_free(void *chunk)
{
	publisher->release(chunk);
}

/* As RouDi says, once a second. */
static uint64_t system_n_held(void)
{
	static popo::Subscriber<roudi::MemPoolIntrospectionInfoContainer> pools(
		roudi::IntrospectionMempoolService);
	uint64_t n_held = UINT64_MAX;

	while (n_held == UINT64_MAX) {
		usleep(1000);
		pools.take().and_then([&](auto &sample) {
			for (auto &segment : *sample)
				for (auto &pool : segment.m_mempoolInfo)
					if (pool.m_numChunks == setup.n_chunks)
						n_held = pool.m_usedChunks;
		});
	}
	return n_held;
}

static inline void *channel_begin(int channel, size_t bytes)
{
	(void)channel;
	return system_alloc(bytes);
}

static inline bool channel_send(int channel, void *message, size_t bytes)
{
	(void)channel;
	(void)bytes;
	publisher->publish(message);
	return true;
}

static inline void *channel_receive(int channel, bool wait)
{
	const void *message = nullptr;

	(void)channel;
	subscriber->take().and_then([&](const void *taken) { message = taken; });
	if (!message && wait)
		waitset->wait();
	return const_cast<void *>(message);
}

static inline void channel_done(int channel, void *message)
{
	(void)channel;
	subscriber->release(message);
}

static inline void *topic_begin(size_t bytes)
{
	return system_alloc(bytes);
}

static inline void topic_send(void *message, size_t bytes)
{
	channel_send(0, message, bytes);
}

static inline const void *topic_receive(int side)
{
	(void)side;
	return channel_receive(0, false);
}

static inline void topic_done(int side, const void *message)
{
	(void)side;
	subscriber->release(message);
}

#include "loops.h"
