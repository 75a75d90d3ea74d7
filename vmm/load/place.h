/* Guest memory as the loaders see it: what is free RAM, and copying into it after that check. */
#pragma once

#include "vmm/load/load.h"

/* Whether [gpa, gpa + bytes) is guest RAM that neither firmware nor the loader itself uses. */
bool place_is_free(const struct load_request *req, gpa_t gpa, u64 bytes);
/* The end of the RAM that starts at 1 MiB, or 0 without such RAM. */
u64 place_low_end(const struct load_request *req);
/* The highest page-aligned place for `bytes` in [floor, ceiling) of low RAM; false if none. */
MUST_USE bool place_highest(const struct load_request *req, u64 floor, u64 ceiling, u64 bytes,
			    gpa_t *gpa);

/* A page-aligned loader structure, or memory that is known to be free; never NULL. */
static inline u8 *place_at(const struct load_request *req, gpa_t gpa)
{
	return req->ram + gpa.raw;
}

/* Copies `file` to `gpa` and clears up to `bytes` in all. */
void place_copy(const struct load_request *req, gpa_t gpa, struct load_blob file, u64 bytes);

/* Fails the load: sets the reason and passes the error through. */
enum err load_refuse(struct load_result *out, enum err err, const char *why);
/* Fails for want of memory: the VM needs RAM up to `end`. */
enum err load_refuse_memory(struct load_result *out, u64 end, const char *why);

/* The length of the command line, without its NUL. */
u64 place_cmdline_length(const struct load_request *req);
/* Writes the command line to LOAD_CMDLINE. */
void place_cmdline(const struct load_request *req);
