/* System calls of the supervisor, and the memory that it shares with VMMs. */
#define _GNU_SOURCE
#include "tests/support/fake_root.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/abi/layout.h"
#include "lib/base/assert.h"
#include "lib/base/format.h"
#include "lib/ring3/ring3.h"

#define COUNTER_BYTES align_up(MANIFEST_CPUS_MAX * sizeof(struct vcpu_counters), PAGE_SIZE)
#define FILE_BYTES    4096

struct fake_root fake_root;

static struct {
	struct manifest_header header;
	struct manifest_vm vms[FAKE_ROOT_VMS];
	struct manifest_file file;
} blob;
static u64 blob_bytes;

struct vm_channel *fake_root_channel(u32 number)
{
	return (struct vm_channel *)(SUPERVISOR_CHANNEL_BASE + number * SUPERVISOR_CHANNEL_STEP);
}

struct vcpu_counters *fake_root_counters(u32 number)
{
	return (struct vcpu_counters *)(SUPERVISOR_COUNTER_BASE + number * SUPERVISOR_COUNTER_STEP);
}

static void memory_map(void *at, u64 bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;

	assert(mmap(at, bytes, PROT_READ | PROT_WRITE, flags, -1, 0) == at);
}

/* --- text */

static void append(char *text, u32 *length, const void *bytes, u64 count)
{
	if (count >= FAKE_ROOT_TEXT - *length) /* what tests look at is new */
		*length = 0;
	assert(count < FAKE_ROOT_TEXT);
	memcpy(text + *length, bytes, count);
	*length += (u32)count;
	text[*length] = '\0';
}

static u64 sys_log(const char *text, u64 bytes)
{
	char line[LOG_TEXT_MAX + 16];
	size_t length;

	assert(bytes <= LOG_TEXT_MAX);
	length = format(line, sizeof(line), "ringfence: %.*s", (int)bytes, text);
	append(fake_root.log, &fake_root.log_bytes, line, length);
	append(fake_root.log, &fake_root.log_bytes, "\n", 1);
	append(fake_root.output, &fake_root.output_bytes, line, length);
	append(fake_root.output, &fake_root.output_bytes, "\r\n", 2);
	append(fake_root.screen, &fake_root.screen_bytes, line, length);
	append(fake_root.screen, &fake_root.screen_bytes, "\r\n", 2);
	return ERR_OK;
}

void ring3_log(const char *text, ...)
{
	char line[LOG_TEXT_MAX];
	va_list args;
	size_t length;

	va_start(args, text);
	length = format_va(line, sizeof(line), text, args);
	va_end(args);
	sys_log(line, length);
}

static u64 sys_log_read(struct log_part *part)
{
	u64 from = min_u64(part->from, fake_root.log_bytes);

	part->bytes = min_u64(sizeof(part->text), fake_root.log_bytes - from);
	memcpy(part->text, fake_root.log + from, part->bytes);
	part->from = from + part->bytes;
	return ERR_OK;
}

static u64 sys_console_put(u64 packed, u64 count, bool screen)
{
	assert(count <= sizeof(packed));
	if (fake_root.put_room)
		count = min_u64(count, fake_root.put_room - fake_root.put_taken);
	fake_root.put_taken += (u32)count;
	append(fake_root.output, &fake_root.output_bytes, &packed, count);
	if (screen)
		append(fake_root.screen, &fake_root.screen_bytes, &packed, count);
	return count;
}

static u64 sys_console_get(void)
{
	if (fake_root.input_at == fake_root.input_bytes)
		return ~0ULL;
	return fake_root.input[fake_root.input_at++];
}

/* --- time */

u64 ring3_tsc(void)
{
	return fake_root.tsc;
}

static u64 sys_wait(u64 deadline)
{
	u64 bits = fake_root.bits;

	fake_root.put_taken = 0;
	fake_root.deadline = deadline;
	fake_root.bits = 0;
	if (bits == 0)
		fake_root.tsc = max_u64(fake_root.tsc, min_u64(deadline, fake_root.until));
	return bits;
}

/* --- VMs */

static struct fake_root_vm *vm_of(u64 number)
{
	assert(number < FAKE_ROOT_VMS && fake_root.vm[number].exists);
	return &fake_root.vm[number];
}

static u64 sys_vm_create(const struct vm_request *request, u32 *number)
{
	u32 i = 0;

	while (i < FAKE_ROOT_VMS && fake_root.vm[i].exists)
		i++;
	assert(i < FAKE_ROOT_VMS);
	fake_root.vm[i] = (struct fake_root_vm){ .exists = true,
						 .missing = request->memory_bytes,
						 .status = PROCESS_RUNNING };
	memory_map(fake_root_channel(i), CHANNEL_PAGES * PAGE_SIZE);
	memory_map(fake_root_counters(i), COUNTER_BYTES);
	fake_root.made++;
	*number = i;
	return ERR_OK;
}

static u64 sys_vm_ram_add(struct fake_root_vm *vm)
{
	u64 bytes = min_u64(vm->missing, 4 * MIB);

	if (bytes > fake_root.memory_free)
		return ERR_NO_MEMORY;
	fake_root.memory_free -= bytes;
	vm->memory += bytes;
	vm->missing -= bytes;
	return vm->missing ? ERR_AGAIN : ERR_OK;
}

static u64 sys_vm_start(struct fake_root_vm *vm)
{
	assert(!vm->started && vm->missing == 0);
	vm->started = true;
	return ERR_OK;
}

/* What is used behind the end of its VM is not there. */
static u64 sys_vm_destroy(u64 number)
{
	struct fake_root_vm *vm = vm_of(number);

	fake_root.memory_free += vm->memory;
	*vm = (struct fake_root_vm){ 0 };
	munmap(fake_root_channel((u32)number), CHANNEL_PAGES * PAGE_SIZE);
	munmap(fake_root_counters((u32)number), COUNTER_BYTES);
	return ERR_OK;
}

/* --- the machine */

static u64 sys_module_info(u64 index, struct module_info *info)
{
	if (index > 1)
		return ERR_NOT_FOUND;
	*info = (struct module_info){ .bytes = index == 0 ? blob_bytes : FILE_BYTES,
				      .address = index == 0 ? (u64)&blob : 0 };
	strcpy(info->name, index == 0 ? "manifest" : "file:0");
	return ERR_OK;
}

static u64 sys_machine_info(struct machine_info *info)
{
	*info = (struct machine_info){ .tsc_khz = FAKE_ROOT_TSC_KHZ,
				       .memory_total = GIB,
				       .memory_free = fake_root.memory_free,
				       .cpus = 1,
				       .root_mode = "fake" };
	return ERR_OK;
}

static u64 sys_machine_off(u64 how)
{
	fake_root.off = how;
	if (fake_root.on_off)
		longjmp(*fake_root.on_off, 1);
	fprintf(stderr, "machine off: %lu\n", (unsigned long)how);
	abort();
}

u64 syscall3(enum syscall_number number, u64 a, u64 b, u64 c)
{
	switch (number) {
	case SYSCALL_wait:
		return sys_wait(a);
	case SYSCALL_notify:
		vm_of(a)->notified++;
		return ERR_OK;
	case SYSCALL_log:
		return sys_log((const char *)a, b);
	case SYSCALL_module_info:
		return sys_module_info(a, (struct module_info *)b);
	case SYSCALL_vm_create:
		return sys_vm_create((const struct vm_request *)a, (u32 *)b);
	case SYSCALL_vm_ram_add:
		return sys_vm_ram_add(vm_of(a));
	case SYSCALL_vm_start:
		return sys_vm_start(vm_of(a));
	case SYSCALL_vm_status:
		return vm_of(a)->status;
	case SYSCALL_vm_destroy:
		if (fake_root.busy > 0 && fake_root.busy--)
			return ERR_AGAIN;
		return sys_vm_destroy(a);
	case SYSCALL_vm_pause:
		vm_of(a)->paused = b != 0;
		return ERR_OK;
	case SYSCALL_console_get:
		return sys_console_get();
	case SYSCALL_console_put:
		return sys_console_put(a, b, c != 0);
	case SYSCALL_machine_info:
		return sys_machine_info((struct machine_info *)a);
	case SYSCALL_machine_off:
		return sys_machine_off(a);
	case SYSCALL_log_read:
		return sys_log_read((struct log_part *)a);
	case SYSCALL_cpu_info:
		if (a == 0)
			memcpy((void *)b, &fake_root.cpu, sizeof(fake_root.cpu));
		return a == 0 ? ERR_OK : ERR_NOT_FOUND;
	default:
		fprintf(stderr, "the supervisor may not call %u\n", number);
		abort();
	}
}

/* --- for tests */

void fake_root_start(const struct manifest_vm *vms, u32 count)
{
	assert(count <= FAKE_ROOT_VMS);
	for (u32 i = 0; i < FAKE_ROOT_VMS; i++) {
		if (fake_root.vm[i].exists)
			sys_vm_destroy(i);
	}
	memset(&fake_root, 0, sizeof(fake_root));
	fake_root.tsc = 1000000;
	fake_root.memory_free = 256 * MIB;
	blob.header = (struct manifest_header){ .magic = MANIFEST_MAGIC,
						.version = MANIFEST_VERSION,
						.vm_count = count,
						.file_count = 1 };
	memcpy(blob.vms, vms, count * sizeof(*vms));
	blob.file = (struct manifest_file){ .bytes = FILE_BYTES };
	memcpy(&blob.vms[count], &blob.file, sizeof(blob.file)); /* there is no gap in a blob */
	blob_bytes = sizeof(blob.header) + count * sizeof(*vms) + sizeof(blob.file);
	blob.header.length = (u32)blob_bytes;
	blob.header.crc32 = manifest_crc32(&blob, blob_bytes);
}

void fake_root_print(u32 number, const char *text)
{
	while (*text)
		assert(ring_put(&fake_root_channel(number)->from_guest, (u8)*text++));
	fake_root.bits |= NOTIFY_VM(number);
}

void fake_root_type_bytes(const void *bytes, u32 count)
{
	assert(count <= FAKE_ROOT_TEXT);
	memcpy(fake_root.input, bytes, count);
	fake_root.input_bytes = count;
	fake_root.input_at = 0;
	fake_root.bits |= NOTIFY_CONSOLE;
}

void fake_root_type(const char *text)
{
	fake_root_type_bytes(text, (u32)strlen(text));
}

void fake_root_end(u32 number, enum vm_end end, enum process_status status)
{
	vm_of(number)->status = status;
	fake_root_channel(number)->end = end;
	fake_root.bits |= NOTIFY_VM(number);
}

void fake_root_clear(void)
{
	fake_root.output_bytes = fake_root.screen_bytes = 0;
	fake_root.output[0] = fake_root.screen[0] = '\0';
}
