# Linked twice: the first image's function names become a table in the second (tools/symbols.sh).
# That must not move what it names: names read from the second image have to be the same.
# $(1): the image; $(2): where its objects are; $(3): its sources; $(4): more flags.
define core_image
$(B)/$(2)-nameless.elf: $(call objs,$(2),$(3)) core/core.ld
	$$(Q)$$(CC) $$(LINK) -Wl,-T,core/core.ld -o $$@ $$(filter %.o,$$^)
$(B)/gen/$(2)/symbols.S: $(B)/$(2)-nameless.elf tools/symbols.sh
	@mkdir -p $$(@D)
	$$(Q)tools/symbols.sh $$< > $$@.tmp && mv $$@.tmp $$@
$(B)/gen/$(2)/symbols.o: $(B)/gen/$(2)/symbols.S
	$$(Q)$$(CC) $$(CORE) -c -o $$@ $$<
$(B)/$(1): $(call objs,$(2),$(3)) $(B)/gen/$(2)/symbols.o core/core.ld
	$$(Q)$$(CC) $$(LINK) -Wl,-T,core/core.ld -o $$@.tmp $$(filter %.o,$$^)
	$$(Q)tools/symbols.sh $$@.tmp | cmp - $(B)/gen/$(2)/symbols.S || \
		{ echo "$$@: the table of names moved what it names" >&2; false; }
	@mv $$@.tmp $$@
$(B)/$(2)/%.o: % Makefile core/core.mk
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CORE) $(4) -c -o $$@ $$<
$(B)/$(2)/core/boot/framebuffer.c.o: $(B)/gen/core/boot/font.inc
endef
$(eval $(call core_image,core.elf,core,$(CORE_SRC)))
# What tests boot: asserts the order of locks, and has bugs that the command line can plant.
$(eval $(call core_image,core-debug.elf,core-debug,$(CORE_SRC) $(call find,tests/planted,*.c),-DDEBUG))

# The screen's glyphs, from GRUB's own font: nothing of it is in this repository.
FONT := /usr/share/grub/ascii.pf2
$(FONT):
	@echo "$@ is missing (Debian: apt install grub-common)" >&2; false
$(B)/font-array: tools/font-array.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(STRICT) -O1 -o $@ $<
$(B)/gen/core/boot/font.inc: $(B)/font-array $(FONT)
	@mkdir -p $(@D)
	$(Q)$^ > $@.tmp && mv $@.tmp $@
