# The DSDT: ASL preprocessed as C, compiled by iasl, as bytes for acpi.c to include.
$(B)/gen/vmm/board/dsdt.inc: vmm/board/dsdt.asl vmm/board/memory_map.h
	@mkdir -p $(@D)
	$(CC) -E -P -I. -x assembler-with-cpp -o $(@D)/dsdt.i.asl $<
	iasl -vs -vi -we -p $(@D)/dsdt $(@D)/dsdt.i.asl > $(@D)/dsdt.log || { cat $(@D)/dsdt.log; false; }
	od -An -v -tx1 $(@D)/dsdt.aml | sed 's/ \(..\)/0x\1,/g' > $@.tmp && mv $@.tmp $@

$(foreach v,ring3 host fuzz-obj,$(B)/$(v)/vmm/board/acpi.c.o): $(B)/gen/vmm/board/dsdt.inc
