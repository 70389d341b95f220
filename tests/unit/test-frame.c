/* SPDX-License-Identifier: MIT */
/* test-frame.c - the header of pictures: where each field is, and which messages are no frames */
#include "mempool_frame.h"

#include <check.h>
#include <linux/videodev2.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 8, HEIGHT = 4, STRIDE = 16, DATA = HEIGHT * STRIDE, OWN = 24 };

/* Programs that were built with another version read it. */
START_TEST(test_frame_layout_stays)
{
	ck_assert_uint_eq(sizeof(struct mempool_frame), 64);
	ck_assert_uint_eq(offsetof(struct mempool_frame, magic), 0);
	ck_assert_uint_eq(offsetof(struct mempool_frame, header_bytes), 4);
	ck_assert_uint_eq(offsetof(struct mempool_frame, format), 8);
	ck_assert_uint_eq(offsetof(struct mempool_frame, width), 12);
	ck_assert_uint_eq(offsetof(struct mempool_frame, height), 16);
	ck_assert_uint_eq(offsetof(struct mempool_frame, stride), 20);
	ck_assert_uint_eq(offsetof(struct mempool_frame, sequence), 24);
	ck_assert_uint_eq(offsetof(struct mempool_frame, stamp_ns), 32);
	ck_assert_uint_eq(offsetof(struct mempool_frame, data_bytes), 40);
	ck_assert_uint_eq(offsetof(struct mempool_frame, reserved), 48);
}
END_TEST

static void assert_code(uint32_t code, const char *text)
{
	ck_assert_uint_eq(code, v4l2_fourcc((uint32_t)text[0], (uint32_t)text[1],
					    (uint32_t)text[2], (uint32_t)text[3]));
}

START_TEST(test_frame_codes_are_those_of_v4l2)
{
	ck_assert_uint_eq(MEMPOOL_FRAME_GREY, V4L2_PIX_FMT_GREY);
	ck_assert_uint_eq(MEMPOOL_FRAME_Y16, V4L2_PIX_FMT_Y16);
	ck_assert_uint_eq(MEMPOOL_FRAME_RGB24, V4L2_PIX_FMT_RGB24);
	ck_assert_uint_eq(MEMPOOL_FRAME_BGR24, V4L2_PIX_FMT_BGR24);
	ck_assert_uint_eq(MEMPOOL_FRAME_RGBA32, V4L2_PIX_FMT_RGBA32);
	ck_assert_uint_eq(MEMPOOL_FRAME_BGRA32, V4L2_PIX_FMT_ABGR32);
	ck_assert_uint_eq(MEMPOOL_FRAME_YUYV, V4L2_PIX_FMT_YUYV);
	ck_assert_uint_eq(MEMPOOL_FRAME_NV12, V4L2_PIX_FMT_NV12);
	ck_assert_uint_eq(MEMPOOL_FRAME_MJPEG, V4L2_PIX_FMT_MJPEG);
	assert_code(MEMPOOL_FRAME_S16, "S16 ");
	assert_code(MEMPOOL_FRAME_S32, "S32 ");
	assert_code(MEMPOOL_FRAME_F32, "F32 ");
	assert_code(MEMPOOL_FRAME_MAGIC, "MPfr");
}
END_TEST

/* A message of DATA bytes of rows, with OWN bytes of the program's before them. */
static struct {
	struct mempool_frame frame;
	unsigned char rest[OWN + DATA];
} message;

static const void *data_of(size_t length)
{
	return mempool_frame_data(&message.frame, &message, length);
}

static void make_message(void)
{
	memset(&message, 0xff, sizeof(message));
	mempool_frame_init(&message.frame, MEMPOOL_FRAME_Y16, WIDTH, HEIGHT, STRIDE);
	message.frame.header_bytes += OWN;
}

START_TEST(test_frame_data_begins_behind_the_header)
{
	make_message();
	ck_assert_uint_eq(message.frame.data_bytes, DATA);
	ck_assert_uint_eq(message.frame.reserved[0], 0);
	ck_assert_uint_eq(message.frame.reserved[1], 0);
	ck_assert_ptr_eq(data_of(sizeof(message)), message.rest + OWN);
	ck_assert_ptr_eq(data_of(SIZE_MAX), message.rest + OWN);
	message.frame.header_bytes = sizeof(struct mempool_frame);
	ck_assert_ptr_eq(data_of(sizeof(message) - OWN), message.rest);
}
END_TEST

START_TEST(test_frame_that_is_not_whole_is_none)
{
	for (size_t length = 0; length < sizeof(message); length++) {
		make_message();
		ck_assert_ptr_null(data_of(length));
	}
}
END_TEST

static void assert_none(void)
{
	ck_assert_ptr_null(data_of(sizeof(message)));
	make_message();
}

START_TEST(test_frame_that_lies_is_none)
{
	make_message();
	message.frame.magic++;
	assert_none();
	message.frame.header_bytes = sizeof(struct mempool_frame) - 1;
	assert_none();
	message.frame.header_bytes = 0;
	assert_none();
	message.frame.header_bytes = UINT32_MAX;
	assert_none();
	message.frame.data_bytes = DATA + 1;
	assert_none();
	message.frame.data_bytes = UINT64_MAX;
	assert_none();
	message.frame.height++;
	assert_none();
	message.frame.stride++;
	assert_none();
	message.frame.height = message.frame.stride = UINT32_MAX;
	assert_none();
}
END_TEST

START_TEST(test_frame_without_rows)
{
	make_message();
	message.frame.format = MEMPOOL_FRAME_MJPEG;
	message.frame.stride = 0;
	message.frame.height = 10000;
	message.frame.data_bytes = 1;
	ck_assert_ptr_eq(data_of(sizeof(message)), message.rest + OWN);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("frame");
	TCase *tcase = tcase_create("frame");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_test(tcase, test_frame_layout_stays);
	tcase_add_test(tcase, test_frame_codes_are_those_of_v4l2);
	tcase_add_test(tcase, test_frame_data_begins_behind_the_header);
	tcase_add_test(tcase, test_frame_that_is_not_whole_is_none);
	tcase_add_test(tcase, test_frame_that_lies_is_none);
	tcase_add_test(tcase, test_frame_without_rows);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
