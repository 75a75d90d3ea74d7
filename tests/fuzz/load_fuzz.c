/*
 * Any bytes as a kernel: a refusal has a reason and leaves guest memory alone; a success starts in
 * guest RAM and has written only there. The first bytes shape the request.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/cursor.h"
#include "vmm/load/layout.h"
#include "vmm/load/load.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define RAM_MAX	    (4 * MIB)
#define INITRD_MAX  (64 * KIB)
#define CMDLINE_MAX 256U
#define FILL	    0xa5

static u8 ram[RAM_MAX] ALIGNED(4096);
static const u8 initrd[INITRD_MAX];

struct shape {
	u16 memory_pages; /* above 2 MiB */
	u16 initrd_bytes;
	u8 cmdline_bytes;
};

static void require(bool fact)
{
	if (!fact)
		abort();
}

static bool is_untouched(u64 from, u64 to)
{
	return ram[from] == FILL && memcmp(ram + from, ram + from + 1, to - from - 1) == 0;
}

static void check(enum err err, const struct load_request *req, const struct load_result *out)
{
	require(is_untouched(MAP_EBDA, MAP_HIGH_MEMORY));
	require(req->low_bytes == RAM_MAX || is_untouched(req->low_bytes, RAM_MAX));
	if (err) {
		require(out->why && (out->needed_bytes != 0) == (err == ERR_NO_MEMORY));
		require(is_untouched(0, RAM_MAX));
		return;
	}
	require(!out->why && out->format && out->state.rip < req->low_bytes);
	require(strcmp((const char *)ram + LOAD_CMDLINE, req->cmdline) == 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct cursor c = cursor_over(data, size);
	struct shape shape;
	struct e820_map map;
	char cmdline[CMDLINE_MAX] = { 0 };
	struct load_request req = { .cmdline = cmdline, .ram = ram, .e820 = &map };
	struct load_result out;
	enum err err;

	if (!cursor_read(&c, &shape, sizeof(shape)))
		return 0;
	memset(ram, FILL, sizeof(ram));
	memset(cmdline, 'x', shape.cmdline_bytes);
	req.low_bytes = min_u64(2 * MIB + shape.memory_pages * PAGE_SIZE, RAM_MAX);
	req.kernel = (struct load_blob){ c.data + c.at, cursor_left(&c) };
	req.initrd = (struct load_blob){ initrd, shape.initrd_bytes };
	e820_build(&map, req.low_bytes);
	err = load_kernel(&req, &out);
	check(err, &req, &out);
	return 0;
}
