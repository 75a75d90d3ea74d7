/* Making of a VM: memory, files, configuration, and its VMM's first instruction. */
#include "lib/base/format.h"
#include "lib/base/string.h"
#include "lib/ring3/ring3.h"
#include "supervisor/pin.h"
#include "supervisor/supervisor.h"

/* The boot module of a manifest file: named "file:N", with the size the manifest says. */
static enum err module_find(const struct supervisor *s, u32 file, u32 *index, u64 *bytes)
{
	struct module_info info = { 0 };
	char name[MODULE_NAME_BYTES];

	*index = MANIFEST_NO_FILE;
	*bytes = 0;
	if (file == MANIFEST_NO_FILE)
		return ERR_OK;
	format(name, sizeof(name), "file:%u", file);
	for (u32 i = 0; syscall2(SYSCALL_module_info, i, (u64)&info) == ERR_OK; i++) {
		if (strcmp(info.name, name) != 0)
			continue;
		if (info.bytes != s->manifest.files[file].bytes) {
			ring3_log("error: boot module %s has %lu bytes, the manifest says %lu",
				  name, info.bytes, s->manifest.files[file].bytes);
			return ERR_BAD_FORMAT;
		}
		*index = i;
		*bytes = info.bytes;
		return ERR_OK;
	}
	ring3_log("error: boot module %s is missing: the boot loader did not load it", name);
	return ERR_NOT_FOUND;
}

static enum err memory_add(u32 number)
{
	u64 err;

	do {
		err = syscall1(SYSCALL_vm_ram_add, number);
	} while (err == ERR_AGAIN);
	return (enum err)err;
}

static void channel_fill(const struct supervisor *s, const struct guest *g, u64 kernel_bytes,
			 u64 initrd_bytes)
{
	struct channel_config *config = &guest_channel(g)->config;

	config->vm = *g->config;
	config->kernel_bytes = kernel_bytes;
	config->initrd_bytes = initrd_bytes;
	config->wall_clock_s = s->machine.wall_clock_s;
	config->tsc_start = s->machine.tsc_start;
	config->tsc_khz = s->machine.tsc_khz;
}

/* Its threads may be running on other processors, which have to let go of them first. */
void vm_unmake(struct supervisor *s, u32 number)
{
	while (syscall1(SYSCALL_vm_destroy, number) == ERR_AGAIN)
		s->notified |= syscall1(SYSCALL_wait, 0);
}

enum err vm_make(struct supervisor *s, struct guest *g)
{
	struct vm_request request = {
		.memory_bytes = g->config->memory_bytes,
		.cpus = g->config->cpus,
		.weight = g->config->weight,
		.cap_percent = g->config->cap_percent,
	};
	char pin[LOG_TEXT_MAX];
	u64 kernel_bytes, initrd_bytes;
	enum err err;

	err = pin_resolve(g->config, s->machine.cpus, &request.cpus_allowed, pin, sizeof(pin));
	if (pin[0] != '\0')
		ring3_log("%s", pin);
	if (err)
		return err;
	memcpy(request.name, g->config->name, sizeof(request.name));
	err = module_find(s, g->config->kernel, &request.kernel_module, &kernel_bytes);
	if (!err)
		err = module_find(s, g->config->initrd, &request.initrd_module, &initrd_bytes);
	if (!err)
		err = (enum err)syscall2(SYSCALL_vm_create, (u64)&request, (u64)&g->number);
	if (err)
		return err;
	err = memory_add(g->number);
	if (!err) {
		channel_fill(s, g, kernel_bytes, initrd_bytes);
		err = (enum err)syscall1(SYSCALL_vm_start, g->number);
	}
	if (err)
		vm_unmake(s, g->number);
	return err;
}
