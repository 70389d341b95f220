/* SPDX-License-Identifier: MIT */
/*
 * mempool.hpp - mempool.h for C++17 and later: objects that give back what they hold
 *
 * A header alone: programs link libmempool-client, as those in C do.
 *
 *	mempool::client client = mempool::client::open().value();
 *	mempool::topic topic = client.topic("camera").value();
 *	mempool::chunk picture = client.alloc(1920 * 1080).value();
 *
 *	draw(picture.data(), picture.size());
 *	topic.publish(std::move(picture)).value();
 *
 * Model
 *   Life:    each object counts as a user of its client, which is closed when the last one goes. So there is
 *            no chunk, queue or subscriber of a client that is closed. That count is all it costs: an
 *            atomic addition for each chunk (std::shared_ptr).
 *   Chunks:  a chunk is held alone, and may be written; a shared_chunk is held with others, and is read. Both
 *            are moved, never copied, and free what they hold.
 *   Errors:  a function that may fail returns a result: a value, or an error with the errno of mempool.h. It
 *            throws nothing. value() is the throwing layer: it returns the value or throws mempool::failure.
 *            Without exceptions (-fno-exceptions) there is no value(): ask has_value(), then use *result.
 *            (Memory of the program itself may run out: std::bad_alloc, at open, or where a vector is returned.)
 *   Moved:   what takes a chunk by && takes it only where it succeeds. On an error the caller still has it.
 *   Waits:   are std::chrono durations; mempool::at_once, the default, and mempool::forever.
 *   Threads, forks, kills: as the function of mempool.h says that is called. An object is for one thread at
 *            a time, but client, queue and topic, whose const functions any thread may call.
 */
#ifndef MEMPOOL_HPP
#define MEMPOOL_HPP

#include "mempool.h"

#if __cplusplus < 201703L
#error "mempool.hpp needs C++17"
#endif

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>
#if __has_include(<version>)
#include <version>
#endif
#ifdef __cpp_exceptions
#include <stdexcept>
#endif
#if __has_include(<memory_resource>)
#include <memory_resource>
#endif
#ifdef __cpp_lib_span
#include <span>
#endif
#ifdef __cpp_lib_concepts
#include <concepts>
#endif

namespace mempool
{

/* ---- errors, and results that may be one ---- */

/* Of as(): the message is none of that type. All other codes are those of mempool.h. */
inline constexpr int wrong_type = EPROTOTYPE;

class error
{
public:
	explicit error(int code, bool has_reason = false) noexcept
		: code_(code < 0 ? -code : code), has_reason_(has_reason)
	{
	}

	/* As errno: EAGAIN, not -EAGAIN. */
	int code() const noexcept { return code_; }

	/* What that means, for a person. */
	const char *message() const noexcept
	{
		return code_ == wrong_type ? "the message is of another type" : mempool_strerror(code_);
	}

	/* What the daemon said, or which write a guard has found; empty where neither is so. Of this
	 * thread's last such error: mempool_client_error(). */
	const char *reason() const noexcept { return has_reason_ ? mempool_client_error() : ""; }

private:
	int code_;
	bool has_reason_;
};

#ifdef __cpp_exceptions
/* What value() throws. what() has the message, and the reason if there is one. */
class failure : public std::runtime_error
{
public:
	explicit failure(const error &error) : std::runtime_error(text(error)), code_(error.code()) {}
	int code() const noexcept { return code_; }

private:
	static std::string text(const error &error)
	{
		std::string text = error.message();

		return *error.reason() ? text + ": " + error.reason() : text;
	}

	int code_;
};
#endif

/* A T, or an error. */
template <class T> class [[nodiscard]] result
{
public:
	result(T &&value) noexcept : value_(std::move(value)), error_(0) {}
	result(const mempool::error &error) noexcept : error_(error) {}

	bool has_value() const noexcept { return value_.has_value(); }
	explicit operator bool() const noexcept { return has_value(); }

	/* Of a result that has a value. */
	T &operator*() & noexcept { return *value_; }
	const T &operator*() const & noexcept { return *value_; }
	T &&operator*() && noexcept { return *std::move(value_); }
	T *operator->() noexcept { return &*value_; }
	const T *operator->() const noexcept { return &*value_; }

	/* Of one that has none. */
	const mempool::error &error() const noexcept { return error_; }

#ifdef __cpp_exceptions
	T &value() &
	{
		check();
		return *value_;
	}
	T value() &&
	{
		check();
		return *std::move(value_);
	}
#endif

private:
#ifdef __cpp_exceptions
	void check() const
	{
		if (!value_)
			throw failure(error_);
	}
#endif

	std::optional<T> value_;
	mempool::error error_;
};

template <> class [[nodiscard]] result<void>
{
public:
	result() noexcept : error_(0) {}
	result(const mempool::error &error) noexcept : error_(error) {}

	bool has_value() const noexcept { return error_.code() == 0; }
	explicit operator bool() const noexcept { return has_value(); }
	const mempool::error &error() const noexcept { return error_; }

#ifdef __cpp_exceptions
	void value() const
	{
		if (!has_value())
			throw failure(error_);
	}
#endif

private:
	mempool::error error_;
};

/* ---- time ---- */

using duration = std::chrono::nanoseconds;
inline constexpr duration at_once{ 0 };
inline constexpr duration forever{ -1 };

/* ---- bytes ---- */

#ifdef __cpp_lib_span
template <class Byte> using span = std::span<Byte>;
#else
/* As much of std::span as is needed. */
template <class Byte> class span
{
public:
	span() noexcept = default;
	span(Byte *data, std::size_t size) noexcept : data_(data), size_(size) {}

	Byte *data() const noexcept { return data_; }
	std::size_t size() const noexcept { return size_; }
	bool empty() const noexcept { return size_ == 0; }
	Byte *begin() const noexcept { return data_; }
	Byte *end() const noexcept { return data_ + size_; }
	Byte &operator[](std::size_t i) const noexcept { return data_[i]; }

private:
	Byte *data_ = nullptr;
	std::size_t size_ = 0;
};
#endif

/* ---- types of messages ---- */

/*
 * The number that marks a message as a T: its chunk's tag. All programs that exchange T say the same: in T,
 *
 *	struct point { static constexpr std::uint32_t mempool_tag = 7; double x, y; };
 *
 * or, of a type of somebody else's, by a specialization of tag_of.
 */
template <class T> struct tag_of {
	static constexpr std::uint32_t value = T::mempool_tag;
};

#ifdef __cpp_lib_concepts
/* What another process can read: its bytes are all that it is. No pointers in it, but nobody can tell that. */
template <class T>
concept message_type = std::is_trivially_copyable_v<T> && requires {
	{ tag_of<T>::value } -> std::convertible_to<std::uint32_t>;
};
#define MEMPOOL_MESSAGE_TYPE mempool::message_type
#else
#define MEMPOOL_MESSAGE_TYPE class
#endif

template <MEMPOOL_MESSAGE_TYPE T> class object;
template <MEMPOOL_MESSAGE_TYPE T> class shared_object;

namespace detail
{

using client_pointer = std::shared_ptr<mempool_client>;

/* 0 and more are a value; what is told of is an error. */
inline error error_of(std::int64_t r) noexcept
{
	return error(static_cast<int>(-r), r == -EFAULT);
}

inline result<void> done_or(std::int64_t r) noexcept
{
	return r < 0 ? result<void>(error_of(r)) : result<void>();
}

/* A chunk of a client, and what is known of its message. */
class hold
{
public:
	hold() noexcept = default;
	hold(client_pointer client, const void *data, std::size_t size) noexcept
		: client_(std::move(client)), data_(const_cast<void *>(data)), size_(size)
	{
	}
	hold(hold &&other) noexcept
		: client_(std::move(other.client_)), data_(std::exchange(other.data_, nullptr)),
		  size_(std::exchange(other.size_, 0))
	{
	}
	hold &operator=(hold &&other) noexcept
	{
		if (this != &other) {
			reset();
			client_ = std::move(other.client_);
			data_ = std::exchange(other.data_, nullptr);
			size_ = std::exchange(other.size_, 0);
		}
		return *this;
	}
	~hold() { reset(); }

	/* Free it now. */
	void reset() noexcept
	{
		/* With MEMPOOL_CLIENT_DEBUG the first free may be refused, for the sake of what it tells. */
		if (data_ && mempool_free(client_.get(), data_) == -EFAULT)
			mempool_free(client_.get(), data_);
		forget();
	}

	/* Somebody else has it now. */
	void forget() noexcept
	{
		data_ = nullptr;
		size_ = 0;
		client_.reset();
	}

	mempool_client *client() const noexcept { return client_.get(); }
	const client_pointer &owner() const noexcept { return client_; }
	void *data() const noexcept { return data_; }
	std::size_t size() const noexcept { return size_; }
	void set_size(std::size_t size) noexcept { size_ = size; }

	std::size_t capacity() const noexcept
	{
		ssize_t r = data_ ? mempool_usable_size(client_.get(), data_) : 0;

		return r < 0 ? 0 : static_cast<std::size_t>(r);
	}

	result<std::uint32_t> tag() const noexcept
	{
		std::uint32_t tag = 0;
		int r = mempool_chunk_tag(client_.get(), data_, &tag);

		if (r < 0)
			return error_of(r);
		return tag;
	}

	result<std::chrono::nanoseconds> stamp() const noexcept
	{
		std::uint64_t sent = 0;
		int r = mempool_message_stamp(client_.get(), data_, &sent);

		if (r < 0)
			return error_of(r);
		return std::chrono::nanoseconds(static_cast<std::int64_t>(sent));
	}

	/* Whether the message is a T: size, alignment and tag. */
	template <class T> bool is() const noexcept
	{
		static_assert(std::is_trivially_copyable_v<T>, "another process reads its bytes");
		result<std::uint32_t> found = tag();

		return data_ && size_ == sizeof(T) && reinterpret_cast<std::uintptr_t>(data_) % alignof(T) == 0 && found &&
		       *found == tag_of<T>::value;
	}

private:
	client_pointer client_;
	void *data_ = nullptr;
	std::size_t size_ = 0;
};

} // namespace detail

class shared_chunk;

/* ---- chunks ---- */

/* Held by this client alone. An empty one, as after a move, holds nothing, and every call of it is EINVAL. */
class chunk
{
public:
	chunk() noexcept = default;

	/* Adopt what a call of mempool.h returned: the chunk, and the length of its message. */
	chunk(detail::client_pointer client, void *data, std::size_t size) noexcept
		: hold_(std::move(client), data, size)
	{
	}

	explicit operator bool() const noexcept { return data() != nullptr; }

	/* Not to be written by a reader, to whom messages are mapped for reading. */
	void *data() const noexcept { return hold_.data(); }
	/* Bytes of the message: what was asked for, or its sender's length, or resize(). */
	std::size_t size() const noexcept { return hold_.size(); }
	std::size_t capacity() const noexcept { return hold_.capacity(); }
	span<std::byte> bytes() const noexcept { return { static_cast<std::byte *>(data()), size() }; }

	/* What is to be sent is shorter, or longer, up to the capacity. EMSGSIZE. */
	result<void> resize(std::size_t size) noexcept
	{
		if (size > capacity())
			return error(EMSGSIZE);
		hold_.set_size(size);
		return {};
	}

	result<std::uint32_t> tag() const noexcept { return hold_.tag(); }
	result<void> set_tag(std::uint32_t tag) noexcept
	{
		return detail::done_or(mempool_chunk_set_tag(hold_.client(), data(), tag));
	}
	/* When it was sent, by CLOCK_MONOTONIC. ENODATA. */
	result<std::chrono::nanoseconds> stamp() const noexcept { return hold_.stamp(); }

	/* mempool_give(): a handle for whoever takes it. */
	result<std::uint64_t> give() &&noexcept
	{
		std::uint64_t handle = MEMPOOL_HANDLE_NONE;
		int r = mempool_give(hold_.client(), data(), size(), &handle);

		if (r < 0)
			return detail::error_of(r);
		hold_.forget();
		return handle;
	}

	/* mempool_share(): held with whoever acquires its handle(), from now on. */
	result<shared_chunk> share() &&noexcept;

	/* As a T, if its size and tag say so. On an error (wrong_type) it is still here. */
	template <class T> result<object<T>> as() &&noexcept;

	void reset() noexcept { hold_.reset(); }
	detail::hold &hold() noexcept { return hold_; }

private:
	detail::hold hold_;
};

/* Held with others: to be read. */
class shared_chunk
{
public:
	shared_chunk() noexcept = default;
	/* Adopt what a call of mempool.h returned; the handle, if it is known. */
	shared_chunk(detail::client_pointer client, const void *data, std::size_t size,
		     std::uint64_t handle = MEMPOOL_HANDLE_NONE) noexcept
		: hold_(std::move(client), data, size), handle_(handle)
	{
	}
	shared_chunk(shared_chunk &&) noexcept = default;
	shared_chunk &operator=(shared_chunk &&) noexcept = default;

	explicit operator bool() const noexcept { return data() != nullptr; }
	const void *data() const noexcept { return hold_.data(); }
	std::size_t size() const noexcept { return hold_.size(); }
	span<const std::byte> bytes() const noexcept { return { static_cast<const std::byte *>(data()), size() }; }
	result<std::uint32_t> tag() const noexcept { return hold_.tag(); }
	result<std::chrono::nanoseconds> stamp() const noexcept { return hold_.stamp(); }

	/* For client::acquire(), in any process, while somebody holds it. */
	result<std::uint64_t> handle() noexcept
	{
		if (handle_ == MEMPOOL_HANDLE_NONE) {
			int r = mempool_share(hold_.client(), hold_.data(), size(), &handle_);

			if (r < 0)
				return detail::error_of(r);
		}
		return std::uint64_t(handle_);
	}

	/* mempool_unshare(): alone again, without a copy. EBUSY: others hold it, and it is still here. */
	result<chunk> unshare() &&noexcept
	{
		void *data = nullptr;
		int r = mempool_unshare(hold_.client(), hold_.data(), &data);

		if (r < 0)
			return detail::error_of(r);
		chunk alone(hold_.owner(), data, size());
		hold_.forget();
		return alone;
	}

	result<bool> is_exclusive() const noexcept
	{
		int r = mempool_chunk_is_exclusive(hold_.client(), hold_.data());

		if (r < 0)
			return detail::error_of(r);
		return r == 1;
	}

	template <class T> result<shared_object<T>> as() &&noexcept;

	void reset() noexcept { hold_.reset(); }
	detail::hold &hold() noexcept { return hold_; }

private:
	detail::hold hold_;
	std::uint64_t handle_ = MEMPOOL_HANDLE_NONE;
};

inline result<shared_chunk> chunk::share() &&noexcept
{
	std::uint64_t handle = MEMPOOL_HANDLE_NONE;
	int r = mempool_share(hold_.client(), data(), size(), &handle);

	if (r < 0)
		return detail::error_of(r);
	shared_chunk shared(hold_.owner(), data(), size(), handle);
	hold_.forget();
	return shared;
}

/* A message that is a T: client::make(), or chunk::as(). */
template <MEMPOOL_MESSAGE_TYPE T> class object
{
public:
	/* Of a chunk whose type was checked. */
	explicit object(chunk &&chunk) noexcept : chunk_(std::move(chunk)) {}

	T &operator*() const noexcept { return *get(); }
	T *operator->() const noexcept { return get(); }
	T *get() const noexcept { return std::launder(static_cast<T *>(chunk_.data())); }

	/* To send or publish it, as any chunk: queue.send(std::move(point.message())). */
	chunk &message() noexcept { return chunk_; }

private:
	chunk chunk_;
};

template <MEMPOOL_MESSAGE_TYPE T> class shared_object
{
public:
	explicit shared_object(shared_chunk &&chunk) noexcept : chunk_(std::move(chunk)) {}

	const T &operator*() const noexcept { return *get(); }
	const T *operator->() const noexcept { return get(); }
	const T *get() const noexcept { return std::launder(static_cast<const T *>(chunk_.data())); }
	shared_chunk &message() noexcept { return chunk_; }

private:
	shared_chunk chunk_;
};

template <class T> result<object<T>> chunk::as() &&noexcept
{
	if (!hold_.is<T>())
		return error(wrong_type);
	return object<T>(std::move(*this));
}

template <class T> result<shared_object<T>> shared_chunk::as() &&noexcept
{
	if (!hold_.is<T>())
		return error(wrong_type);
	return shared_object<T>(std::move(*this));
}

/* ---- queues ---- */

class queue
{
public:
	queue(detail::client_pointer client, mempool_queue *opened) noexcept
		: client_(std::move(client)), queue_(opened)
	{
	}

	/* Room is waited for. EAGAIN: it is full, and the chunk is still the caller's. */
	result<void> send(chunk &&chunk, duration timeout = at_once) const noexcept
	{
		int r = mempool_queue_send(queue_.get(), chunk.data(), chunk.size(), timeout.count());

		if (r == 0)
			chunk.hold().forget();
		return detail::done_or(r);
	}

	template <class T> result<void> send(object<T> &&object, duration timeout = at_once) const noexcept
	{
		return send(std::move(object.message()), timeout);
	}

	/* Several, in their order, and how many were sent: those are taken out of @chunks. */
	result<std::size_t> send_many(std::vector<chunk> &chunks, duration timeout = at_once) const
	{
		const several all(chunks);
		ssize_t r = mempool_queue_send_many(queue_.get(), all.data.data(), all.sizes.data(),
						    chunks.size(), timeout.count());

		if (r < 0)
			return detail::error_of(r);
		for (auto sent = chunks.begin(); sent != chunks.begin() + r; ++sent)
			sent->hold().forget();
		chunks.erase(chunks.begin(), chunks.begin() + r);
		return static_cast<std::size_t>(r);
	}

	/* All of them, and @chunks is empty then; or none. To a queue for one sender. */
	result<void> send_all(std::vector<chunk> &chunks, duration timeout = at_once) const
	{
		const several all(chunks);
		int r = mempool_queue_send_all(queue_.get(), all.data.data(), all.sizes.data(),
					       chunks.size(), timeout.count());

		if (r == 0) {
			for (chunk &sent : chunks)
				sent.hold().forget();
			chunks.clear();
		}
		return detail::done_or(r);
	}

	/* mempool_queue_send_evict(): in @oldest what made room, or an empty chunk. */
	result<void> send_evict(chunk &&chunk, mempool::chunk &oldest) const noexcept
	{
		void *data = nullptr;
		std::size_t size = 0;
		int r = mempool_queue_send_evict(queue_.get(), chunk.data(), chunk.size(), &data, &size);

		if (r == 0)
			chunk.hold().forget();
		oldest = data ? mempool::chunk(client_, data, size) : mempool::chunk();
		return detail::done_or(r);
	}

	/* EAGAIN: nothing came. */
	result<chunk> receive(duration timeout = at_once) const noexcept
	{
		void *data = nullptr;
		std::size_t size = 0;
		int r = mempool_queue_receive(queue_.get(), &data, &size, timeout.count());

		if (r < 0)
			return detail::error_of(r);
		return chunk(client_, data, size);
	}

	/* What is there, up to @max; the timeout is for the first. */
	result<std::vector<chunk>> receive_many(std::size_t max, duration timeout = at_once) const
	{
		std::vector<void *> data(max);
		std::vector<std::size_t> sizes(max);
		std::vector<chunk> chunks;

		/* Before there is something that could be lost. */
		chunks.reserve(max);
		ssize_t r = mempool_queue_receive_many(queue_.get(), data.data(), sizes.data(), max,
						       timeout.count());

		if (r < 0)
			return detail::error_of(r);
		for (std::size_t i = 0; i < static_cast<std::size_t>(r); i++)
			chunks.emplace_back(client_, data[i], sizes[i]);
		return chunks;
	}

	/* Of a queue whose messages stand in its slots: mempool_queue_send_bytes(). */
	result<void> send_bytes(const void *bytes, std::size_t size, duration timeout = at_once) const noexcept
	{
		return detail::done_or(mempool_queue_send_bytes(queue_.get(), bytes, size, timeout.count()));
	}

	/* How many bytes it has. EMSGSIZE: more than @room; it is still the first. */
	result<std::size_t> receive_bytes(void *buffer, std::size_t room,
					  duration timeout = at_once) const noexcept
	{
		std::size_t size = 0;
		int r = mempool_queue_receive_bytes(queue_.get(), buffer, room, &size, timeout.count());

		if (r < 0)
			return detail::error_of(r);
		return size;
	}

	result<mempool_queue_counts> info() const noexcept
	{
		mempool_queue_counts counts;
		int r = mempool_queue_info(queue_.get(), &counts);

		if (r < 0)
			return detail::error_of(r);
		return counts;
	}

	mempool_queue *native() const noexcept { return queue_.get(); }

private:
	struct closer {
		void operator()(mempool_queue *queue) const noexcept { mempool_queue_close(queue); }
	};

	/* As the calls for several chunks want them. */
	struct several {
		explicit several(const std::vector<chunk> &chunks)
		{
			for (const chunk &chunk : chunks) {
				data.push_back(chunk.data());
				sizes.push_back(chunk.size());
			}
		}

		std::vector<void *> data;
		std::vector<std::size_t> sizes;
	};

	detail::client_pointer client_;
	std::unique_ptr<mempool_queue, closer> queue_;
};

/* ---- topics ---- */

/* What subscriber::next() returns. */
struct published {
	shared_chunk message;
	std::uint64_t missed; /* messages that were gone before this one was read */
};

/* What subscriber::peek() returns: it counts once subscriber::verify() has said so. */
struct glimpse {
	span<const std::byte> bytes;
	std::uint32_t tag;
	std::uint64_t missed;
};

/* What subscriber::copy() returns. */
struct copied {
	std::size_t size;
	std::uint32_t tag;
	std::uint64_t missed;
};

/* For one thread at a time. */
class subscriber
{
public:
	subscriber(detail::client_pointer client, mempool_subscriber *opened) noexcept
		: client_(std::move(client)), subscriber_(opened)
	{
	}

	/* EAGAIN: nothing new. EACCES: of a spectator, who peeks. */
	result<published> next(duration timeout = at_once) noexcept
	{
		const void *data = nullptr;
		std::size_t size = 0;
		std::uint64_t missed = 0;
		int r = mempool_subscriber_next(subscriber_.get(), &data, &size, &missed, timeout.count());

		if (r < 0)
			return detail::error_of(r);
		return published{ shared_chunk(client_, data, size), missed };
	}

	/* Read by pointer while others may write: see mempool_subscriber_peek(). */
	result<glimpse> peek(duration timeout = at_once) noexcept
	{
		const void *data = nullptr;
		std::size_t size = 0;
		std::uint32_t tag = 0;
		std::uint64_t missed = 0;
		int r = mempool_subscriber_peek(subscriber_.get(), &data, &size, &tag, &missed,
						timeout.count());

		if (r < 0)
			return detail::error_of(r);
		return glimpse{ { static_cast<const std::byte *>(data), size }, tag, missed };
	}

	/* ESTALE: what was read since the peek may be anything. */
	result<void> verify() noexcept
	{
		return detail::done_or(mempool_subscriber_verify(subscriber_.get()));
	}

	/* The whole message, verified. EMSGSIZE: the buffer is too small, and it is still the next one. */
	result<copied> copy(void *buffer, std::size_t size, duration timeout = at_once) noexcept
	{
		copied copied = {};
		int r = mempool_subscriber_copy(subscriber_.get(), buffer, size, &copied.size, &copied.tag,
						&copied.missed, timeout.count());

		if (r < 0)
			return detail::error_of(r);
		return copied;
	}

	/* Of what was peeked or copied last. ENODATA. */
	result<std::chrono::nanoseconds> stamp() noexcept
	{
		std::uint64_t sent = 0;
		int r = mempool_subscriber_stamp(subscriber_.get(), &sent);

		if (r < 0)
			return detail::error_of(r);
		return std::chrono::nanoseconds(static_cast<std::int64_t>(sent));
	}

	mempool_subscriber *native() const noexcept { return subscriber_.get(); }

private:
	struct closer {
		void operator()(mempool_subscriber *subscriber) const noexcept
		{
			mempool_subscriber_close(subscriber);
		}
	};

	detail::client_pointer client_;
	std::unique_ptr<mempool_subscriber, closer> subscriber_;
};

/* Where a subscriber begins. */
struct from {
	mempool_topic_start start = MEMPOOL_TOPIC_NEW;
	std::uint64_t n_last = 0;
	std::uint64_t flags = 0; /* MEMPOOL_SUBSCRIBE_... */

	static from oldest() noexcept { return { MEMPOOL_TOPIC_OLDEST, 0, 0 }; }
	static from last(std::uint64_t n) noexcept { return { MEMPOOL_TOPIC_LAST, n, 0 }; }
	/* A slow reader shows what is new, and passes over what was. */
	static from newest() noexcept { return { MEMPOOL_TOPIC_NEW, 0, MEMPOOL_SUBSCRIBE_NEWEST }; }
};

class topic
{
public:
	topic(detail::client_pointer client, mempool_topic *opened) noexcept
		: client_(std::move(client)), topic_(opened)
	{
	}

	/* It never waits for a subscriber. */
	result<void> publish(chunk &&chunk) const noexcept
	{
		int r = mempool_topic_publish(topic_.get(), chunk.data(), chunk.size());

		if (r == 0)
			chunk.hold().forget();
		return detail::done_or(r);
	}

	template <class T> result<void> publish(object<T> &&object) const noexcept
	{
		return publish(std::move(object.message()));
	}

	result<mempool::subscriber> subscribe(const from &from = {}) const noexcept
	{
		const mempool_subscribe_options options = { sizeof(options), from.start, 0, from.n_last,
							    from.flags };
		mempool_subscriber *subscriber = nullptr;
		int r = mempool_topic_subscribe_with(topic_.get(), &options, &subscriber);

		if (r < 0)
			return detail::error_of(r);
		return mempool::subscriber(client_, subscriber);
	}

	result<mempool_topic_counts> info() const noexcept
	{
		mempool_topic_counts counts;
		int r = mempool_topic_info(topic_.get(), &counts);

		if (r < 0)
			return detail::error_of(r);
		return counts;
	}

	mempool_topic *native() const noexcept { return topic_.get(); }

private:
	struct closer {
		void operator()(mempool_topic *topic) const noexcept { mempool_topic_close(topic); }
	};

	detail::client_pointer client_;
	std::unique_ptr<mempool_topic, closer> topic_;
};

/* ---- the client ---- */

/* Of client::open(). An empty string is the default, as NULL in mempool_client_options. */
struct options {
	std::string segment;
	std::string socket_path;
	std::string name;
	duration timeout = at_once;
	std::uint64_t flags = 0; /* MEMPOOL_CLIENT_... */
	duration spin{ 0 };
};

/* A copy is the same client. */
class client
{
public:
	/* error().reason() has the daemon's words. */
	static result<client> open(const options &options = {})
	{
		const auto or_null = [](const std::string &text) {
			return text.empty() ? nullptr : text.c_str();
		};
		const mempool_client_options wanted = {
			sizeof(wanted),		 or_null(options.socket_path), or_null(options.segment),
			or_null(options.name),	 options.timeout.count(),	options.flags,
			options.spin.count(),
		};
		mempool_client *opened = nullptr;
		int r = mempool_client_open(&wanted, &opened);

		if (r < 0)
			return error(r, true);
		return client(detail::client_pointer(opened, mempool_client_close));
	}

	/* mempool_alloc(): EAGAIN each chunk that fits is held. */
	result<chunk> alloc(std::size_t size) const noexcept
	{
		return adopt(mempool_alloc(native(), size), size);
	}
	result<chunk> alloc_aligned(std::size_t size, std::size_t alignment) const noexcept
	{
		return adopt(mempool_alloc_aligned(native(), size, alignment), size);
	}
	result<chunk> alloc_zeroed(std::size_t size) const noexcept
	{
		return adopt(mempool_alloc_zeroed(native(), size), size);
	}
	result<chunk> alloc_wait(std::size_t size, duration timeout) const noexcept
	{
		return adopt(mempool_alloc_wait(native(), size, timeout.count()), size);
	}

	/* Several of one size: as many as there are, or EAGAIN where there is none; or all of them. */
	result<std::vector<chunk>> alloc_many(std::size_t size, std::size_t n) const
	{
		return adopt_many(size, n, [&](void **data) {
			return mempool_alloc_many(native(), size, data, n);
		});
	}
	result<std::vector<chunk>> alloc_all(std::size_t size, std::size_t n) const
	{
		return adopt_many(size, n, [&](void **data) -> ssize_t {
			int r = mempool_alloc_all(native(), size, data, n);

			return r < 0 ? r : static_cast<ssize_t>(n);
		});
	}

	/* A T in a chunk that says so. */
	template <class T, class... Values> result<object<T>> make(Values &&...values) const noexcept
	{
		static_assert(std::is_trivially_copyable_v<T>, "another process reads its bytes");
		static_assert(std::is_nothrow_constructible_v<T, Values...> || std::is_aggregate_v<T>,
			      "nobody would free the chunk");
		result<chunk> room = alloc_aligned(sizeof(T), alignof(T));

		if (!room)
			return room.error();
		result<void> tagged = room->set_tag(tag_of<T>::value);

		if (!tagged)
			return tagged.error();
		::new (room->data()) T{ std::forward<Values>(values)... };
		return object<T>(*std::move(room));
	}

	/* What chunk::give() or shared_chunk::handle() has named. ESTALE: it is gone. */
	result<chunk> take(std::uint64_t handle) const noexcept
	{
		void *data = nullptr;
		std::size_t size = 0;
		int r = mempool_take(native(), handle, &data, &size);

		if (r < 0)
			return detail::error_of(r);
		return chunk(client_, data, size);
	}
	result<shared_chunk> acquire(std::uint64_t handle) const noexcept
	{
		const void *data = nullptr;
		std::size_t size = 0;
		int r = mempool_acquire(native(), handle, &data, &size);

		if (r < 0)
			return detail::error_of(r);
		return shared_chunk(client_, data, size, handle);
	}

	/* By its name in the config; flags are MEMPOOL_QUEUE_... */
	result<mempool::queue> queue(const std::string &name, std::uint64_t flags = 0) const noexcept
	{
		const mempool_queue_options options = { sizeof(options), flags };
		mempool_queue *queue = nullptr;
		int r = mempool_queue_open_with(native(), name.c_str(), &options, &queue);

		if (r < 0)
			return detail::error_of(r);
		return mempool::queue(client_, queue);
	}
	result<mempool::topic> topic(const std::string &name) const noexcept
	{
		mempool_topic *topic = nullptr;
		int r = mempool_topic_open(native(), name.c_str(), &topic);

		if (r < 0)
			return detail::error_of(r);
		return mempool::topic(client_, topic);
	}

	/* In the order of the config. */
	result<std::vector<mempool_pool_info>> pools() const { return list(mempool_client_pools); }
	result<std::vector<mempool_pool_memory>> memory() const { return list(mempool_client_memory); }
	result<std::vector<mempool_queue_counts>> queues() const { return list(mempool_client_queues); }
	result<std::vector<mempool_topic_counts>> topics() const { return list(mempool_client_topics); }

	/* mempool_client_fd(): to be watched, and closed by nobody. */
	result<int> fd() const noexcept
	{
		int r = mempool_client_fd(native());

		if (r < 0)
			return detail::error_of(r);
		return r;
	}
	result<void> wake() const noexcept { return detail::done_or(mempool_client_wake(native())); }
	result<mempool_role> role() const noexcept
	{
		int r = mempool_client_role(native());

		if (r < 0)
			return detail::error_of(r);
		return static_cast<mempool_role>(r);
	}
	bool is_stale() const noexcept { return mempool_client_is_stale(native()); }

	mempool_client *native() const noexcept { return client_.get(); }

private:
	explicit client(detail::client_pointer opened) noexcept : client_(std::move(opened)) {}

	result<chunk> adopt(void *data, std::size_t size) const noexcept
	{
		if (!data)
			return detail::error_of(-errno);
		return chunk(client_, data, size);
	}

	template <class Alloc>
	result<std::vector<chunk>> adopt_many(std::size_t size, std::size_t n, Alloc alloc) const
	{
		std::vector<void *> data(n);
		std::vector<chunk> chunks;

		/* Before there is something that could be lost. */
		chunks.reserve(n);
		ssize_t r = alloc(data.data());

		if (r < 0)
			return detail::error_of(r);
		for (std::size_t i = 0; i < static_cast<std::size_t>(r); i++)
			chunks.emplace_back(client_, data[i], size);
		return chunks;
	}

	/* How many there are does not change. */
	template <class Item>
	result<std::vector<Item>> list(int (*fill)(mempool_client *, Item *, std::size_t)) const
	{
		int n = fill(native(), nullptr, 0);

		if (n < 0)
			return detail::error_of(n);
		std::vector<Item> items(static_cast<std::size_t>(n));
		int r = fill(native(), items.data(), items.size());

		if (r < 0)
			return detail::error_of(r);
		return items;
	}

	detail::client_pointer client_;
};

/* ---- containers ---- */

#if defined(__cpp_lib_memory_resource) && defined(__cpp_exceptions) && defined(__cpp_rtti)
/*
 * Chunks for containers of std::pmr. A chunk for each allocation, so for those that make few and large
 * ones, such as std::pmr::vector; others through a std::pmr::monotonic_buffer_resource upon it. What cannot
 * be had is std::bad_alloc.
 */
class memory_resource : public std::pmr::memory_resource
{
public:
	explicit memory_resource(const mempool::client &client) noexcept : client_(client) {}

private:
	void *do_allocate(std::size_t bytes, std::size_t alignment) override
	{
		void *data = mempool_alloc_aligned(client_.native(), bytes ? bytes : 1, alignment);

		if (!data)
			throw std::bad_alloc();
		return data;
	}

	void do_deallocate(void *data, std::size_t, std::size_t) override
	{
		if (mempool_free(client_.native(), data) == -EFAULT)
			mempool_free(client_.native(), data);
	}

	bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
	{
		const auto *same = dynamic_cast<const memory_resource *>(&other);

		return same && same->client_.native() == client_.native();
	}

	mempool::client client_;
};
#endif

} // namespace mempool

#undef MEMPOOL_MESSAGE_TYPE

#endif
