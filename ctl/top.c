/* SPDX-License-Identifier: MIT */
/*
 * top.c - mempoolctl top: one segment, live on the whole screen
 *
 * Keys and signals are waited for in one place: INT, TERM, HUP, QUIT and WINCH are blocked
 * and read from a descriptor, so that the terminal is put right before a signal ends us, and
 * nothing happens in the middle of drawing. Stopping and going on (TSTP) is ncurses' own.
 */
#include <curses.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "gather.h"
#include "subscribers.h"
#include "view.h"
#include "watch.h"

enum {
	HEAD_LINES = 4,			/* title, segment, sums or a complaint, blank */
	FOOT_LINES = 1,
};

enum {
	PAIR_PLENTY = 1,		/* and on, as enum text_level */
	PAIR_ALARM = PAIR_PLENTY + TEXT_FULL + 1,
};

struct top {
	const struct ctl_options *options;
	struct gather_past past;
	struct gathering before;
	struct gathering now;
	struct view view;
	uint64_t segment_id;		/* that is shown; another one if it is gone */
	size_t n_looks;
	size_t first_line;		/* of the view, on top of the screen */
	enum view_sort sort;
	bool is_paused;
	bool is_utf8;
	char complaint[256];		/* empty: all is well */
	uint64_t due_ns;		/* of the next look */
	int signal_fd;
};

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static size_t shown_index(const struct top *top)
{
	for (size_t i = 0; i < top->now.n_snapshots; i++)
		if (top->now.snapshots[i].segment_id == top->segment_id)
			return i;
	return 0;
}

static const struct snapshot *shown(const struct top *top)
{
	return top->now.n_snapshots > 0 ? &top->now.snapshots[shown_index(top)] : NULL;
}

static void keep_complaint(const char *text, void *userdata)
{
	struct top *top = userdata;

	snprintf(top->complaint, sizeof(top->complaint), "%s", text);
}

/* What cannot be read now stays on the screen as it was, under a complaint. */
static enum ctl_exit look(struct top *top)
{
	struct gathering fresh = { 0 };
	enum ctl_exit status;

	top->complaint[0] = '\0';
	gather(top->options, &top->past, &fresh);
	status = gathering_explain(&fresh, top->options);
	top->n_looks++;
	top->due_ns = clock_ns() + top->options->interval_ns;
	if (fresh.n_snapshots == 0 && status != CTL_OK) {
		gathering_deinit(&fresh);
		return status;
	}
	subscribers_compare(&top->now, &fresh);
	gathering_deinit(&top->before);
	top->before = top->now;
	top->now = fresh;
	return status;
}

/* ---- drawing ---- */

/* One line of the screen, cut at its right edge. */
static void draw_line(int row, attr_t attributes, const char *text)
{
	if (row >= LINES)
		return;
	attrset((int)attributes);
	mvaddnstr(row, 0, text, COLS);
	attrset(A_NORMAL);
}

/* The whole line reversed: title and keys. */
static void draw_band(int row, const char *text)
{
	char line[512];

	snprintf(line, sizeof(line), "%-*.*s", COLS, COLS, text);
	draw_line(row, A_REVERSE, line);
}

static attr_t colour_of(int pair)
{
	return has_colors() ? (attr_t)COLOR_PAIR(pair) : A_NORMAL;
}

static void draw_bar(int row, int column, const struct top *top, const struct view_line *line)
{
	char bar[TEXT_BAR_BYTES];

	text_bar(top->is_utf8, line->used, line->total, line->bar_columns, bar);
	attrset((int)colour_of(PAIR_PLENTY + (int)line->level));
	mvaddstr(row, column + 2, bar);
	attrset(A_NORMAL);
	printw(" %3d%%", text_percent(line->used, line->total));
}

static void draw_view(struct top *top)
{
	size_t n_shown = LINES > HEAD_LINES + FOOT_LINES ?
				 (size_t)(LINES - HEAD_LINES - FOOT_LINES) : 0;

	if (top->first_line + n_shown > top->view.n_lines)
		top->first_line = top->view.n_lines > n_shown ? top->view.n_lines - n_shown : 0;
	for (size_t i = 0; i < n_shown && top->first_line + i < top->view.n_lines; i++) {
		const struct view_line *line = &top->view.lines[top->first_line + i];
		int row = HEAD_LINES + (int)i;

		draw_line(row,
			  line->is_heading ? A_BOLD :
			  line->is_alarm   ? A_BOLD | colour_of(PAIR_ALARM) : A_NORMAL,
			  line->text);
		if (line->bar_columns > 0)
			draw_bar(row, (int)strlen(line->text), top, line);
	}
}

static void draw_head(const struct top *top, const struct snapshot *snapshot)
{
	char text[256], heading[TEXT_HEADING_BYTES], when[TEXT_SINCE_BYTES] = "";
	time_t seconds = time(NULL);
	struct tm local;

	strftime(when, sizeof(when), "%H:%M:%S", localtime_r(&seconds, &local));
	snprintf(text, sizeof(text), "mempoolctl top  %s  every %g s  segment %zu of %zu%s", when,
		 (double)top->options->interval_ns / 1e9,
		 snapshot ? shown_index(top) + 1 : 0, top->now.n_snapshots,
		 top->is_paused ? "  PAUSED" : "");
	draw_band(0, text);
	if (!snapshot) {
		draw_line(1, A_NORMAL, top->complaint[0] ? top->complaint : "no segments");
		return;
	}
	text_heading(snapshot, heading);
	draw_line(1, A_BOLD, heading);
	if (top->complaint[0]) {
		draw_line(2, A_BOLD | colour_of(PAIR_ALARM), top->complaint);
		return;
	}
	snprintf(text, sizeof(text),
		 "%" PRIu64 " of %" PRIu64 " chunks used: %" PRIu64 " alone, %" PRIu64
		 " in flight, %" PRIu64 " shared", snapshot->all.used, snapshot->all.total,
		 snapshot->all.alone, snapshot->all.in_flight, snapshot->all.shared);
	draw_line(2, A_NORMAL, text);
}

static int draw(struct top *top)
{
	const struct snapshot *snapshot = shown(top);
	char keys[128];
	int r = 0;

	erase();
	draw_head(top, snapshot);
	if (snapshot) {
		r = view_build(&top->view, watch_before(&top->before, snapshot), snapshot,
			       top->sort, COLS);
		if (r < 0)
			return r;
		draw_view(top);
	}
	snprintf(keys, sizeof(keys), "q quit  s sort: %s  p pause  Tab segment  Up Down scroll",
		 view_sort_name(top->sort));
	draw_band(LINES - 1, keys);
	refresh();
	return 0;
}

/* ---- keys and signals ---- */

static void next_segment(struct top *top)
{
	size_t n = top->now.n_snapshots;

	if (n == 0)
		return;
	top->segment_id = top->now.snapshots[(shown_index(top) + 1) % n].segment_id;
	top->first_line = 0;
}

/* Return: whether to go on. */
static bool on_key(struct top *top, int key)
{
	switch (key) {
	case 'q':
		return false;
	case 's':
		top->sort = (top->sort + 1) % VIEW_N_SORTS;
		break;
	case 'p':
	case ' ':
		top->is_paused = !top->is_paused;
		break;
	case '\t':
		next_segment(top);
		break;
	case KEY_DOWN:
		/* draw_view() keeps it in bounds. */
		top->first_line++;
		break;
	case KEY_UP:
		top->first_line -= top->first_line > 0;
		break;
	case KEY_NPAGE:
		top->first_line += (size_t)LINES / 2;
		break;
	case KEY_PPAGE:
		top->first_line -= top->first_line < (size_t)LINES / 2 ? top->first_line :
									 (size_t)LINES / 2;
		break;
	default:
		break;
	}
	return true;
}

static void on_resize(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
		resizeterm(size.ws_row, size.ws_col);
	clearok(curscr, TRUE);
}

/* Return: the signal that ends us, or 0. */
static int on_signal(const struct top *top)
{
	struct signalfd_siginfo info;

	if (read(top->signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (info.ssi_signo != SIGWINCH)
		return (int)info.ssi_signo;
	on_resize();
	return 0;
}

/* Until the next look is due, something is to draw anew, or it ends. Return: as on_key(). */
static bool wait_for_news(struct top *top, int *ret_signal)
{
	uint64_t now = clock_ns();
	struct pollfd fds[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = top->signal_fd, .events = POLLIN },
	};
	int timeout_ms = now < top->due_ns ? (int)((top->due_ns - now + 999999) / 1000000) : 0;
	int key;

	if (poll(fds, 2, top->is_paused ? -1 : timeout_ms) <= 0)
		return true;
	if (fds[1].revents)
		*ret_signal = on_signal(top);
	if (*ret_signal)
		return false;
	/* A terminal that is gone. */
	if (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
		return false;
	while (fds[0].revents && (key = getch()) != ERR)
		if (!on_key(top, key))
			return false;
	return true;
}

/* ---- the whole ---- */

static void signals_of_top(sigset_t *ret_signals)
{
	sigemptyset(ret_signals);
	sigaddset(ret_signals, SIGINT);
	sigaddset(ret_signals, SIGTERM);
	sigaddset(ret_signals, SIGHUP);
	sigaddset(ret_signals, SIGQUIT);
	sigaddset(ret_signals, SIGWINCH);
}

static void use_colours(void)
{
	static const short colours[] = {
		[PAIR_PLENTY + TEXT_PLENTY] = COLOR_GREEN,
		[PAIR_PLENTY + TEXT_SHORT] = COLOR_YELLOW,
		[PAIR_PLENTY + TEXT_FULL] = COLOR_RED,
		[PAIR_ALARM] = COLOR_RED,
	};

	start_color();
	use_default_colors();
	for (short i = PAIR_PLENTY; i <= PAIR_ALARM; i++)
		init_pair(i, colours[i], -1);
}

/* Return: the screen, to be closed with endwin() and delscreen(); NULL and it was said why. */
static SCREEN *screen_open(void)
{
	SCREEN *screen;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		ctl_error("top needs a terminal; for pipes and logs there is watch");
		return NULL;
	}
	screen = newterm(NULL, stdout, stdin);
	if (!screen) {
		ctl_error("top: no terminal that can be drawn on (TERM)");
		return NULL;
	}
	set_term(screen);
	if (text_may_colour() && has_colors())
		use_colours();
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	return screen;
}

/* Return: the signal that ended it, or 0. */
static int run(struct top *top)
{
	int signal_number = 0;
	bool goes_on = true;

	while (goes_on && draw(top) == 0) {
		if (top->n_looks == top->options->count)
			break;
		goes_on = wait_for_news(top, &signal_number);
		if (goes_on && !top->is_paused && clock_ns() >= top->due_ns)
			look(top);
	}
	return signal_number;
}

/* End as the signal would have ended us. */
static void die_of(int signal_number, const sigset_t *signals)
{
	signal(signal_number, SIG_DFL);
	raise(signal_number);
	sigprocmask(SIG_UNBLOCK, signals, NULL);
}

static enum ctl_exit show(struct top *top)
{
	sigset_t signals;
	SCREEN *screen;
	int signal_number;

	signals_of_top(&signals);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	top->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (top->signal_fd < 0) {
		ctl_error("top: %s", strerror(errno));
		return CTL_FAILED;
	}
	screen = screen_open();
	if (!screen) {
		close(top->signal_fd);
		return CTL_FAILED;
	}
	ctl_error_to(keep_complaint, top);
	signal_number = run(top);
	ctl_error_to(NULL, NULL);
	endwin();
	delscreen(screen);
	close(top->signal_fd);
	if (signal_number)
		die_of(signal_number, &signals);
	return CTL_OK;
}

enum ctl_exit ctl_top(const struct ctl_options *options)
{
	struct top top = { .options = options, .is_utf8 = text_is_utf8() };
	enum ctl_exit status;

	/* For programs, what watch says. */
	if (options->json)
		return ctl_watch(options);
	/* What cannot be shown at all is said before the screen is taken. */
	status = look(&top);
	if (status == CTL_OK)
		status = show(&top);
	view_deinit(&top.view);
	gathering_deinit(&top.before);
	gathering_deinit(&top.now);
	gather_past_deinit(&top.past);
	return status;
}
