/* SPDX-License-Identifier: MIT */
#include "number.h"

#include <errno.h>
#include <stdlib.h>

#include "ctl.h"
#include "mempool_layout.h"

static bool read_number(const char *text, uint64_t max, uint64_t *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *ret_number <= max;
}

bool number_read_holder(const char *text, uint32_t *ret_id)
{
	uint64_t id;

	if (!read_number(text, MEMPOOL_MAX_HOLDERS - 1, &id)) {
		ctl_error("'%s' is no holder's id (mempoolctl status)", text);
		return false;
	}
	*ret_id = (uint32_t)id;
	return true;
}

bool number_read_generation(const char *text, uint64_t *ret_generation)
{
	if (read_number(text, UINT64_MAX, ret_generation))
		return true;
	ctl_error("'%s' is no generation (mempoolctl status)", text);
	return false;
}
