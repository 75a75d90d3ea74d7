# Micro guests: every folder tests/micro/NAME with a main.c is one bare-metal program that tests
# what a guest sees of its virtual machine. Linked as ELF64, wrapped as ELF32 for multiboot 1.
MICRO      := $(patsubst tests/micro/%/main.c,%,$(wildcard tests/micro/*/main.c))
MICRO_LIB  := $(call find,tests/micro/lib,*.[cS]) lib/base/string.c lib/base/format.c
MICRO_ELF  := $(MICRO:%=$(B)/tests/micro/%.elf)

$(B)/micro/%.o: %
	@mkdir -p $(@D)
	$(CC) $(ROOT) -c -o $@ $<

define micro_objects
$(B)/micro/$(1).elf64: $(call objs,micro,$(wildcard tests/micro/$(1)/*.[cS]) $(MICRO_LIB))
endef
$(foreach name,$(MICRO),$(eval $(call micro_objects,$(name))))
$(MICRO:%=$(B)/micro/%.elf64): tests/micro/lib/micro.ld
	$(CC) $(LINK) -Wl,-T,tests/micro/lib/micro.ld -Wl,--no-warn-rwx-segments -o $@ $(filter %.o,$^)
$(B)/tests/micro/%.elf: $(B)/micro/%.elf64
	@mkdir -p $(@D)
	objcopy -O elf32-i386 $< $@

micro: $(MICRO_ELF)
.PHONY: micro
