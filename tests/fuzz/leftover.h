/* SPDX-License-Identifier: MIT */
/*
 * leftover.h - what a target leaves in /dev/shm and /tmp, and what one that was killed has left
 *
 * Objects and folders have the pid in their names. A target removes its own when it exits; but one
 * that crashes, or is killed at a limit of time, does not. So the next one removes all of those
 * whose process is gone. (Runs that share /dev/shm or /tmp have to see each other's pids.)
 */
#ifndef FUZZ_LEFTOVER_H
#define FUZZ_LEFTOVER_H

#define LEFTOVER_FOLDER_BYTES 40

/* Make a folder of our own, and remove what others have left. A segment of ours is then to be
 * called "fuzz-PID", or that and something behind a '-'. */
void leftover_make_folder(char ret_path[static LEFTOVER_FOLDER_BYTES]);

#endif
