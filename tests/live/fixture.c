/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "build_config.h"
#include "support/control.h"

#define ANSWER_MS 5000
#define START_MS 20000

const char fixture_pools[] =
	"    pools:\n"
	"      - { chunk_size: 128, chunk_count: 1000 }\n"
	"      - { chunk_size: 1024, chunk_count: 100 }\n"
	"      - { chunk_size: 4096, chunk_count: 10 }\n";

double clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

double wait_until(bool (*condition)(void *userdata), void *userdata, int timeout_ms)
{
	struct patience patience;

	patience_begin(&patience);
	while (!condition(userdata)) {
		ck_assert_msg(patience_ms(&patience) < timeout_ms, "waited %d ms in vain",
			      timeout_ms);
		usleep(500);
	}
	return patience_end(&patience);
}

bool fixture_no_longer_used(void *userdata)
{
	const struct fixture_used *used = userdata;

	return pool_count_used(&used->segment->pools[0]) <= used->n;
}

bool skip_unless_root(const char *why)
{
	if (geteuid() == 0)
		return false;
	fprintf(stderr, "skipped: needs root: %s\n", why);
	return true;
}

#if defined(__SANITIZE_THREAD__)
#define HAS_THREAD_SANITIZER true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAS_THREAD_SANITIZER true
#endif
#endif
#ifndef HAS_THREAD_SANITIZER
#define HAS_THREAD_SANITIZER false
#endif

bool skip_with_thread_sanitizer(const char *why)
{
	if (HAS_THREAD_SANITIZER)
		fprintf(stderr, "skipped: with the thread sanitizer %s\n", why);
	return HAS_THREAD_SANITIZER;
}

/* ---- namespaces ---- */

/*
 * In a chroot "/" need not be a mount point, so it has no propagation to set. The namespace's
 * root has. It is found above a root that is put below the current folder; then our own root
 * is put back. In this copy of the mounts alone: others do not see it.
 */
static int make_mounts_private(void)
{
	struct stat here, above;
	int root, r = 0;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		return 0;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || chdir("/") < 0 || chroot("tmp") < 0)
		return -errno;
	do {
		if (stat(".", &here) < 0 || stat("..", &above) < 0 || chdir("..") < 0)
			return -errno;
	} while (here.st_dev != above.st_dev || here.st_ino != above.st_ino);
	if (mount(NULL, ".", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		r = -errno;
	if (fchdir(root) < 0 || chroot(".") < 0)
		r = -errno;
	close(root);
	return r;
}

int fixture_own_mounts(int flags)
{
	if (unshare(CLONE_NEWNS | flags) < 0)
		return -errno;
	return make_mounts_private();
}

/* ---- folder and config ---- */

/* Up to the next segment. */
static bool has_allow(const char *segment)
{
	const char *allow = strstr(segment, "allow:"), *next = strstr(segment, "  - name:");

	return allow && (!next || allow < next);
}

void fixture_configure(const struct fixture *fixture, const char *top, const char *segment)
{
	FILE *file = fopen(fixture->config_path, "we");

	ck_assert_ptr_nonnull(file);
	if (!segment)
		segment = fixture_pools;
	fprintf(file, "socket: { path: %s, mode: \"0666\" }\n%s"
		"segments:\n  - name: %s\n%s%s", fixture->socket_path, top, fixture->segment,
		has_allow(segment) ? "" : "    allow: anybody\n", segment);
	fclose(file);
}

/* All whose name begins so. */
static void remove_files(const char *folder, const char *prefix)
{
	struct dirent *entry;
	DIR *stream = opendir(folder);
	char path[512];

	if (!stream)
		return;
	while ((entry = readdir(stream))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
		    strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (remove(path) < 0)
			fprintf(stderr, "cannot remove %s: %s\n", path, strerror(errno));
	}
	closedir(stream);
}

static void remove_all(const struct fixture *fixture)
{
	char prefix[64];

	snprintf(prefix, sizeof(prefix), "mempool-%s.", fixture->segment);
	remove_files("/dev/shm", prefix);
	/* More segments of a test begin as the first one. */
	snprintf(prefix, sizeof(prefix), "mempool-%s-", fixture->segment);
	remove_files("/dev/shm", prefix);
	remove_files(fixture->folder, "");
	rmdir(fixture->folder);
}

/* However the test ends: whoever inherits the pipe's other end dies with it. */
static void start_janitor(struct fixture *fixture)
{
	int fds[2];
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		setsid();
		close(fds[1]);
		while (read(fds[0], &byte, 1) < 0)
			;
		remove_all(fixture);
		_exit(0);
	}
	close(fds[0]);
	fixture->janitor = pid;
	fixture->janitor_pipe = fds[1];
}

void fixture_init(struct fixture *fixture)
{
	*fixture = (struct fixture){ .pid = 0 };
	snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/mempool-test-%d-XXXXXX",
		 (int)getpid());
	ck_assert_ptr_nonnull(mkdtemp(fixture->folder));
	/* Other users are to reach the socket. */
	ck_assert_int_eq(chmod(fixture->folder, 0755), 0);
	snprintf(fixture->socket_path, sizeof(fixture->socket_path), "%s/sock",
		 fixture->folder);
	snprintf(fixture->config_path, sizeof(fixture->config_path), "%s/mempool.yaml",
		 fixture->folder);
	snprintf(fixture->log_path, sizeof(fixture->log_path), "%s/log", fixture->folder);
	snprintf(fixture->notify_path, sizeof(fixture->notify_path), "%s/notify",
		 fixture->folder);
	snprintf(fixture->segment, sizeof(fixture->segment), "test-%d", (int)getpid());
	fixture_configure(fixture, "", NULL);
	start_janitor(fixture);
}

void fixture_deinit(struct fixture *fixture)
{
	if (fixture->pid)
		fixture_kill(fixture);
	remove_all(fixture);
	close(fixture->janitor_pipe);
	waitpid(fixture->janitor, NULL, 0);
}

static bool is_data(const char *name)
{
	const size_t length = strlen(name), end = strlen(MEMPOOL_SHM_DATA_SUFFIX);

	return length > end && strcmp(name + length - end, MEMPOOL_SHM_DATA_SUFFIX) == 0;
}

unsigned int fixture_count_objects(const struct fixture *fixture)
{
	unsigned int n_control = 0, n_data = 0;
	struct dirent *entry;
	char prefix[64];
	DIR *folder;

	folder = opendir("/dev/shm");
	ck_assert_ptr_nonnull(folder);
	snprintf(prefix, sizeof(prefix), "mempool-%s.", fixture->segment);
	while ((entry = readdir(folder))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		if (is_data(entry->d_name))
			n_data++;
		else
			n_control++;
	}
	closedir(folder);
	return n_control > n_data ? n_control : n_data;
}

void fixture_object_path(const struct fixture *fixture, uint64_t generation,
			 char ret_path[static 96])
{
	char pattern[96];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "/dev/shm/mempool-%s.%llu.*", fixture->segment,
		 (unsigned long long)generation);
	snprintf(ret_path, 96, "%s", glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathv[0]
									: pattern);
	globfree(&found);
}

void fixture_data_path(const struct fixture *fixture, uint64_t generation, char ret_path[static 96])
{
	fixture_object_path(fixture, generation, ret_path);
	if (!is_data(ret_path))
		strcat(ret_path, MEMPOOL_SHM_DATA_SUFFIX);
}

void fixture_state_path(const struct fixture *fixture, uint64_t generation,
			char ret_path[static 192])
{
	snprintf(ret_path, 192, "%s/%s.%llu.state", fixture->folder, fixture->segment,
		 (unsigned long long)generation);
}

bool fixture_object_exists(const struct fixture *fixture, uint64_t generation)
{
	char path[96];

	fixture_object_path(fixture, generation, path);
	return access(path, F_OK) == 0;
}

/* Whether a thread runs, or is about to: it was woken, or it waits for a disk. */
static bool is_busy(pid_t pid)
{
	char path[64], line[1024];
	struct dirent *entry;
	bool found = false;
	const char *state;
	FILE *file;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	folder = opendir(path);
	while (folder && !found && (entry = readdir(folder))) {
		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/stat", (int)pid, entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		/* The state is behind the name, which is in parentheses. */
		state = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
		found = state && strchr("RD", state[2]);
		fclose(file);
	}
	if (folder)
		closedir(folder);
	return found;
}

bool fixture_log_has(const struct fixture *fixture, const char *text)
{
	FILE *file = fopen(fixture->log_path, "re");
	struct patience patience;
	char line[2048];
	bool found = false;

	patience_begin(&patience);
	while (fixture->pid && is_busy(fixture->pid) && patience_ms(&patience) < ANSWER_MS)
		usleep(500);
	patience_end(&patience);
	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, text) != NULL;
	if (file)
		fclose(file);
	return found;
}

/* ---- the daemon ---- */

static pid_t spawn(struct fixture *fixture, const char *const *arguments)
{
	pid_t parent = getpid(), pid = fork();
	int program_fd, log_fd;

	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	/* It dies with the test, whatever happens to that. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	log_fd = open(fixture->log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	dup2(log_fd, STDOUT_FILENO);
	dup2(log_fd, STDERR_FILENO);
	if (log_fd > STDERR_FILENO)
		close(log_fd);
	/* A finding of the sanitizer is to end it. */
	setenv("UBSAN_OPTIONS", "halt_on_error=1", 0);
	/* A service manager of our own, as in a container, is not the one it is to talk to. */
	unsetenv("NOTIFY_SOCKET");
	unsetenv("RUNTIME_DIRECTORY");
	/* Another user may not be let into the folder of the build. */
	program_fd = open(MEMPOOLD, O_RDONLY | O_CLOEXEC);
	if (fixture->in_child)
		fixture->in_child(fixture->userdata);
	execv(MEMPOOLD, (char *const *)arguments);
	if (errno == EACCES)
		fexecve(program_fd, (char *const *)arguments, environ);
	perror(MEMPOOLD);
	_exit(127);
}

void fixture_spawn(struct fixture *fixture)
{
	const char *const arguments[] = { MEMPOOLD, "--config", fixture->config_path, NULL };

	ck_assert_int_eq(fixture->pid, 0);
	fixture->pid = spawn(fixture, arguments);
}

int fixture_run(struct fixture *fixture, const char *const *arguments)
{
	int status;
	pid_t pid = spawn(fixture, arguments);

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

int fixture_run_daemon(struct fixture *fixture)
{
	const char *const arguments[] = { MEMPOOLD, "-f", "-c", fixture->config_path, NULL };

	return fixture_run(fixture, arguments);
}

int fixture_run_remove(struct fixture *fixture)
{
	const char *const arguments[] = { MEMPOOLD, "-c", fixture->config_path, "--remove",
					  NULL };

	return fixture_run(fixture, arguments);
}

static void set_notify(void *userdata)
{
	const struct fixture *fixture = userdata;
	char text[16];

	setenv("NOTIFY_SOCKET", fixture->notify_path, 1);
	setenv("WATCHDOG_USEC", "200000", 1);
	snprintf(text, sizeof(text), "%d", (int)getpid());
	setenv("WATCHDOG_PID", text, 1);
}

int fixture_listen(struct fixture *fixture)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->notify_path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	fixture->in_child = set_notify;
	fixture->userdata = fixture;
	return fd;
}

void fixture_expect_notification(int fd, const char *text)
{
	char got[1024];
	ssize_t n;

	do {
		ck_assert_msg(patience_poll(fd, ANSWER_MS), "no '%s'", text);
		n = recv(fd, got, sizeof(got) - 1, 0);
		ck_assert_int_ge(n, 0);
		got[n] = '\0';
	} while (!strstr(got, text));
}

static void print_log(const struct fixture *fixture)
{
	FILE *file = fopen(fixture->log_path, "re");
	char line[2048];

	while (file && fgets(line, sizeof(line), file))
		fputs(line, stderr);
	if (file)
		fclose(file);
}

static int try_connect(const struct fixture *fixture)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->socket_path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

void fixture_start(struct fixture *fixture)
{
	struct patience patience;
	int fd, status;

	patience_begin(&patience);
	fixture_spawn(fixture);
	while ((fd = try_connect(fixture)) < 0) {
		if (waitpid(fixture->pid, &status, WNOHANG) != 0 ||
		    patience_ms(&patience) > START_MS) {
			print_log(fixture);
			fixture->pid = 0;
			ck_abort_msg("mempoold did not start");
		}
		usleep(1000);
	}
	patience_end(&patience);
	close(fd);
}

int fixture_wait(struct fixture *fixture)
{
	int status;

	ck_assert_int_eq(waitpid(fixture->pid, &status, 0), fixture->pid);
	fixture->pid = 0;
	return status;
}

/*
 * The thread sanitizer puts off signals, and loses one now and then that comes just before
 * the loop waits for the first time: 6 of 250, where a plain build lost none of 1400. A daemon
 * that is stopping gets no second one.
 */
static void insist_on_sigterm(const struct fixture *fixture)
{
	siginfo_t info = { .si_pid = 0 };

	for (int i = 0; i < 300 && info.si_pid == 0; i++) {
		usleep(10000);
		ck_assert_int_eq(waitid(P_PID, (id_t)fixture->pid, &info,
					WEXITED | WNOHANG | WNOWAIT),
				 0);
	}
	if (info.si_pid == 0 && !fixture_log_has(fixture, "Terminated: stopping"))
		kill(fixture->pid, SIGTERM);
}

void fixture_stop(struct fixture *fixture)
{
	int status;

	kill(fixture->pid, SIGTERM);
	if (MEMPOOL_SANITIZED)
		insist_on_sigterm(fixture);
	status = fixture_wait(fixture);
	if (status != 0)
		print_log(fixture);
	ck_assert_int_eq(status, 0);
}

void fixture_kill(struct fixture *fixture)
{
	kill(fixture->pid, SIGKILL);
	waitpid(fixture->pid, NULL, 0);
	fixture->pid = 0;
}

/* ---- the wire ---- */

int wire_connect(const struct fixture *fixture)
{
	int fd = try_connect(fixture);

	ck_assert_msg(fd >= 0, "connect: %s", strerror(-fd));
	return fd;
}

struct mempool_msg wire_msg(enum mempool_message_type type, size_t size)
{
	return (struct mempool_msg){
		.magic = MEMPOOL_PROTOCOL_MAGIC,
		.version = MEMPOOL_PROTOCOL_VERSION,
		.type = (uint16_t)type,
		.size = (uint32_t)size,
	};
}

struct mempool_msg_hello wire_hello(const struct fixture *fixture, uint64_t nonce)
{
	struct mempool_msg_hello hello = {
		.msg = wire_msg(MEMPOOL_MSG_HELLO, sizeof(hello)),
		.nonce = nonce,
		.name = "test",
		/* As most: who has none waits for its welcome (test-claims). */
		.flags = MEMPOOL_HELLO_MEMBARRIER,
	};

	strcpy(hello.segment, fixture->segment);
	return hello;
}

void wire_send(int fd, const void *message, size_t size)
{
	ssize_t n = send(fd, message, size, MSG_NOSIGNAL);

	ck_assert_msg(n == (ssize_t)size, "send: %s", strerror(errno));
}

ssize_t wire_receive(int fd, union wire_answer *ret_answer)
{
	ssize_t n;

	if (!patience_poll(fd, ANSWER_MS))
		return -ETIMEDOUT;
	/* ECONNRESET comes once, ahead of what the daemon has sent: see packet_receive(). */
	do {
		n = recv(fd, ret_answer, sizeof(*ret_answer), 0);
	} while (n < 0 && errno == ECONNRESET);
	return n < 0 ? -errno : n;
}

void wire_expect_welcome(int fd, struct mempool_msg_welcome *ret_welcome)
{
	union wire_answer answer;
	ssize_t n = wire_receive(fd, &answer);

	ck_assert_msg(n > 0, "no answer: %s", n ? strerror((int)-n) : "hung up");
	ck_assert_msg(answer.msg.type == MEMPOOL_MSG_WELCOME, "refused: %s",
		      answer.refused.reason);
	ck_assert_int_eq(n, sizeof(answer.welcome));
	*ret_welcome = answer.welcome;
}

void wire_expect_reloaded(int fd, struct mempool_msg_reloaded *ret_reloaded)
{
	union wire_answer answer;
	ssize_t n = wire_receive(fd, &answer);

	ck_assert_int_eq(n, sizeof(answer.reloaded));
	ck_assert_int_eq(answer.msg.type, MEMPOOL_MSG_RELOADED);
	ck_assert_ptr_nonnull(memchr(answer.reloaded.text, 0, sizeof(answer.reloaded.text)));
	*ret_reloaded = answer.reloaded;
}

void wire_expect_refused(int fd, int error, const char *text)
{
	union wire_answer answer;
	ssize_t n = wire_receive(fd, &answer);

	ck_assert_int_eq(n, sizeof(answer.refused));
	ck_assert_int_eq(answer.msg.magic, MEMPOOL_PROTOCOL_MAGIC);
	ck_assert_int_eq(answer.msg.version, MEMPOOL_PROTOCOL_VERSION);
	ck_assert_int_eq(answer.msg.type, MEMPOOL_MSG_REFUSED);
	ck_assert_int_eq(answer.msg.size, sizeof(answer.refused));
	ck_assert_ptr_nonnull(memchr(answer.refused.reason, 0, sizeof(answer.refused.reason)));
	ck_assert_msg(answer.refused.error == error && strstr(answer.refused.reason, text),
		      "refused with %d, '%s'; expected %d, '%s'", answer.refused.error,
		      answer.refused.reason, error, text);
	ck_assert_int_eq(wire_receive(fd, &answer), 0);
}

int wire_attach(const struct fixture *fixture, uint64_t nonce,
		struct mempool_msg_welcome *ret_welcome)
{
	struct mempool_msg_hello hello = wire_hello(fixture, nonce);
	int fd = wire_connect(fixture);

	wire_send(fd, &hello, sizeof(hello));
	wire_expect_welcome(fd, ret_welcome);
	return fd;
}

void wire_reload(const struct fixture *fixture, struct mempool_msg_reloaded *ret_reloaded)
{
	struct mempool_msg_reload reload = {
		.msg = wire_msg(MEMPOOL_MSG_RELOAD, sizeof(reload)),
	};
	int fd = wire_connect(fixture);

	wire_send(fd, &reload, sizeof(reload));
	wire_expect_reloaded(fd, ret_reloaded);
	close(fd);
}

struct segment *wire_map(const struct mempool_msg_welcome *welcome)
{
	return wire_map_from(welcome, "/dev/shm");
}

struct segment *wire_map_from(const struct mempool_msg_welcome *welcome, const char *data_folder)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct segment *segment;
	struct geometry geometry;
	struct segment_fds fds;
	char path[256];

	ck_assert_int_eq(segment_open_control(welcome->place.shm_name, &memory), 0);
	geometry = *memory.plan;
	segment_memory_deinit(&memory);
	ck_assert_uint_eq(geometry.control_bytes, welcome->place.control_bytes);
	ck_assert_uint_eq(geometry.data_bytes, welcome->place.data_bytes);
	snprintf(path, sizeof(path), "%s%s" MEMPOOL_SHM_DATA_SUFFIX, data_folder,
		 welcome->place.shm_name);
	fds.control = segment_open_object(welcome->place.shm_name, SEGMENT_READ_WRITE);
	fds.data = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(segment_map_fds(fds, &geometry, SEGMENT_READ_WRITE, SEGMENT_READ_WRITE,
					 &memory), 0);
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
	ck_assert_uint_eq(segment->segment_id, welcome->place.segment_id);
	return segment;
}

void wire_bye(int fd)
{
	struct mempool_msg_bye bye = { .msg = wire_msg(MEMPOOL_MSG_BYE, sizeof(bye)) };
	union wire_answer answer;

	wire_send(fd, &bye, sizeof(bye));
	/* Messages on two connections have no order: wait until this one was heard. */
	ck_assert_int_eq(wire_receive(fd, &answer), sizeof(struct mempool_msg_gone));
	ck_assert_uint_eq(answer.msg.type, MEMPOOL_MSG_GONE);
	ck_assert_int_eq(wire_receive(fd, &answer), 0);
	close(fd);
}

/* ---- threads ---- */

/* The next thing that happens to a traced thread. Return: its status, which is a stop. */
static int wait_for_trap(pid_t thread)
{
	int status;

	ck_assert_int_eq(waitpid(thread, &status, __WALL), thread);
	ck_assert_msg(WIFSTOPPED(status), "it ended, with status %#x", (unsigned int)status);
	return status;
}

void fixture_watch_threads(const struct fixture *fixture)
{
	ck_assert_int_eq(ptrace(PTRACE_SEIZE, fixture->pid, NULL, PTRACE_O_TRACECLONE), 0);
}

void fixture_unwatch_threads(const struct fixture *fixture)
{
	ck_assert_int_eq(ptrace(PTRACE_INTERRUPT, fixture->pid, NULL, NULL), 0);
	wait_for_trap(fixture->pid);
	ck_assert_int_eq(ptrace(PTRACE_DETACH, fixture->pid, NULL, NULL), 0);
}

pid_t fixture_hold_thread(const struct fixture *fixture)
{
	unsigned long thread;
	int status;

	/* Signals go on to it. */
	while ((status = wait_for_trap(fixture->pid)) >> 8 !=
	       (SIGTRAP | PTRACE_EVENT_CLONE << 8))
		ck_assert_int_eq(ptrace(PTRACE_CONT, fixture->pid, NULL,
					(unsigned long)WSTOPSIG(status)), 0);
	ck_assert_int_eq(ptrace(PTRACE_GETEVENTMSG, fixture->pid, NULL, &thread), 0);
	wait_for_trap((pid_t)thread);
	ck_assert_int_eq(ptrace(PTRACE_CONT, fixture->pid, NULL, NULL), 0);
	return (pid_t)thread;
}

void fixture_let_go(pid_t thread)
{
	ck_assert_int_eq(ptrace(PTRACE_DETACH, thread, NULL, NULL), 0);
}

/* ---- victims ---- */

static void victim_run(const struct fixture *fixture, uint32_t n_chunks, int pipe_fd)
{
	struct mempool_msg_welcome welcome;
	struct segment *segment;
	uint32_t i;

	wire_attach(fixture, (uint64_t)getpid(), &welcome);
	segment = wire_map(&welcome);
	for (i = 0; i < n_chunks; i++)
		ck_assert_int_eq(pool_claim(&segment->pools[0], i, welcome.holder), 0);
	ck_assert_int_eq(write(pipe_fd, &welcome, sizeof(welcome)), sizeof(welcome));
	pause();
}

void victim_start(struct victim *victim, const struct fixture *fixture, uint32_t n_chunks)
{
	pid_t parent = getpid();
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	victim->pid = fork();
	ck_assert_int_ge(victim->pid, 0);
	if (victim->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			victim_run(fixture, n_chunks, fds[1]);
		_exit(1);
	}
	close(fds[1]);
	victim->pipe = fds[0];
	ck_assert_int_eq(read(fds[0], &victim->welcome, sizeof(victim->welcome)),
			 sizeof(victim->welcome));
}

void victim_kill(struct victim *victim)
{
	kill(victim->pid, SIGKILL);
	waitpid(victim->pid, NULL, 0);
	close(victim->pipe);
}
