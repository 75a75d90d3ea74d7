/*
 * The kernel formats. Each loader is given a request whose command line and low memory are good,
 * recognises its own files, and either refuses without a trace or loads and sets out's state.
 */
#pragma once

#include "vmm/load/load.h"

/* Recognition looks at magic numbers only; damage behind them is for load to report. */
bool bzimage_is(struct load_blob kernel);
bool pvh_is(struct load_blob kernel);
bool multiboot_is(struct load_blob kernel);

MUST_USE enum err bzimage_load(const struct load_request *req, struct load_result *out);
MUST_USE enum err pvh_load(const struct load_request *req, struct load_result *out);
MUST_USE enum err multiboot_load(const struct load_request *req, struct load_result *out);
