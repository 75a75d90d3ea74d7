/* Starting, watching and restarting of one VM. */
#include "lib/abi/layout.h"
#include "lib/base/format.h"
#include "lib/base/string.h"
#include "lib/ring3/ring3.h"
#include "supervisor/pin.h"
#include "supervisor/supervisor.h"

/* Restarts on failure stop after this many: a guest that cannot start must not try for ever. */
#define RESTARTS_ON_FAILURE 5
/* A VM that ends as soon as it starts must not keep the processor with being made. */
#define RESTART_PAUSE_MS 1000

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

static enum err vm_make(struct supervisor *s, struct guest *g)
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

	if (request.cpus != 1) {
		ring3_log("error: VM %s: %u processors asked for, this version runs one per VM",
			  g->config->name, request.cpus);
		return ERR_UNSUPPORTED;
	}
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
		syscall1(SYSCALL_vm_destroy, g->number);
	return err;
}

enum err guest_start(struct supervisor *s, struct guest *g)
{
	enum err err = vm_make(s, g);

	if (err) {
		struct machine_info now = { 0 };

		syscall1(SYSCALL_machine_info, (u64)&now);
		if (err != ERR_UNSUPPORTED) /* of which the log has said all */
			ring3_log("error: VM %s does not start: %s "
				  "(it wants %lu MiB, %lu MiB are free)",
				  g->config->name, err_name(err), g->config->memory_bytes / MIB,
				  now.memory_free / MIB);
		g->life = VM_ENDED;
		return err;
	}
	g->started = ring3_tsc();
	g->life = VM_RUNNING;
	return ERR_OK;
}

/* How the VM ended, in the words that tools and people read. */
static void end_describe(const struct guest *g, enum process_status status, char *out, size_t bytes)
{
	const struct vm_channel *channel = guest_channel(g);
	char reason[CHANNEL_REASON_BYTES];

	memcpy(reason, channel->reason, sizeof(reason));
	reason[sizeof(reason) - 1] = '\0';
	for (char *c = reason; *c; c++) {
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
	if (status == PROCESS_KILLED)
		format(out, bytes, "crash: its VMM was killed");
	else if (channel->end == VM_END_POWER_OFF)
		format(out, bytes, "power-off");
	else if (channel->end == VM_END_RESET)
		format(out, bytes, "reset");
	else if (channel->end == VM_END_TEST)
		format(out, bytes, "test: status %u", channel->status);
	else
		format(out, bytes, "crash: %s", reason);
}

static bool end_is_failure(const struct guest *g, enum process_status status)
{
	u32 end = guest_channel(g)->end;

	if (status == PROCESS_KILLED)
		return true;
	if (end == VM_END_TEST)
		return guest_channel(g)->status != 0;
	return end != VM_END_POWER_OFF && end != VM_END_RESET;
}

static bool wants_restart(const struct guest *g, bool failed, bool reset)
{
	if (reset || g->config->restart == MANIFEST_RESTART_ALWAYS)
		return true;
	return g->config->restart == MANIFEST_RESTART_ON_FAILURE && failed &&
	       g->restarts < RESTARTS_ON_FAILURE;
}

u64 guest_restart_time(const struct supervisor *s, const struct guest *g)
{
	return g->started + s->machine.tsc_khz * RESTART_PAUSE_MS;
}

static void restart_when_due(struct supervisor *s, struct guest *g)
{
	if (ring3_tsc() < guest_restart_time(s, g))
		return;
	console_line(s, "VM %s: starting again", g->config->name);
	g->failed = guest_start(s, g) != ERR_OK;
}

static void end_handle(struct supervisor *s, struct guest *g, enum process_status status)
{
	char how[CHANNEL_REASON_BYTES + 16];
	bool failed, reset;

	console_drain(s, g); /* what the guest said last comes before how it ended */
	end_describe(g, status, how, sizeof(how));
	failed = end_is_failure(g, status);
	reset = status == PROCESS_EXITED && guest_channel(g)->end == VM_END_RESET;
	console_line(s, "VM %s ended: %s", g->config->name, how);
	report_exits(s, g);
	g->life = VM_ENDED;
	syscall1(SYSCALL_vm_destroy, g->number);
	g->failed = failed;
	if (wants_restart(g, failed, reset)) {
		g->restarts += failed;
		g->life = VM_WAITING;
	}
}

void guest_check(struct supervisor *s, struct guest *g)
{
	if (g->life == VM_RUNNING) {
		u64 status = syscall1(SYSCALL_vm_status, g->number);

		if (status != PROCESS_RUNNING)
			end_handle(s, g, (enum process_status)status);
	}
	if (g->life == VM_WAITING)
		restart_when_due(s, g);
}
