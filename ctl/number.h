/* SPDX-License-Identifier: MIT */
/*
 * number.h - numbers of the command line
 */
#ifndef CTL_NUMBER_H
#define CTL_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* A holder's id; a generation. Return: false: it is none, and that was said. */
bool number_read_holder(const char *text, uint32_t *ret_id);
bool number_read_generation(const char *text, uint64_t *ret_generation);

#endif
