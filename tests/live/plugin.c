/* SPDX-License-Identifier: MIT */
/* plugin.c - a plugin that is linked to the shared library; see test-copies.c */
#include "api.h"

__attribute__((visibility("default"))) extern const struct api plugin_api;
const struct api plugin_api = API_TABLE;
