# SPDX-License-Identifier: GPL-2.0
# For people. The module rules are in Kbuild; the kernel's build system, which
# sets KERNELRELEASE, finds nothing here.
ifeq ($(KERNELRELEASE),)

PYTHON ?= $(if $(wildcard /usr/bin/python3),/usr/bin/python3,python3)
TESTING := $(CURDIR)/tools/testing

# as it was typed: a dollar in it is the end of a name
override TESTS := $(value TESTS)
export KDIR KDIR_CHECKED KSRC KSRC_7_2 LLVM RUSTC BINDGEN IMAGE TESTS SECONDS SEED ACCEL
export FSTYPE MOUNT_OPTIONS FS PROFILE CELLS RW KERNEL XFSTESTS ARCH V
export RUST_MPAGE_CACHE

rmp = @PYTHONPATH=$(TESTING) PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m rmp

.DEFAULT_GOAL := help
.PHONY: help run test broken xfstests bench shell modules dropin deb series kunit lint doc \
	htmldocs clean distclean

help:
	@echo 'rust_mpage: multi-page block I/O for Linux in Rust, and ext2 on top of it'
	@echo
	@echo '  make run                 boot Linux, read a disk of real files, compare,'
	@echo '                           copy it to a fresh disk, check and compare that'
	@echo '  make run IMAGE=disk.img  read your own ext2 image instead (never written)'
	@echo '  make run IMAGE=... RW=1  and write to an overlay of it, which is forgotten;'
	@echo '                           RW=in-place writes to the image itself'
	@echo '  make run KERNEL=debian   the same on the kernel of Debian trixie-backports'
	@echo '  make test                all tests, on a kernel with every check enabled'
	@echo '  make test TESTS=pattern  those whose name matches; also the long ones'
	@echo '  make broken TESTS=order  break promises on purpose: a test has to notice each'
	@echo '  make test KERNEL=rt      the same on a kernel with PREEMPT_RT'
	@echo '  make test ARCH=arm64     a part of them on arm64, with pages of 4 and 64 KiB'
	@echo '  make xfstests XFSTESTS=/path/to/a/built/tree   your tree of xfstests, on'
	@echo '                           rust_ext2 and on C ext2; TESTS= its groups and tests'
	@echo '  make bench               instructions per page, beside C ext2, ext4 and xfs'
	@echo '  make bench CELLS="unlink names-4k:*"     some of its cells'
	@echo '  make bench PROFILE=rust_ext2:random_4k   where those of one cell go'
	@echo '  make shell [IMAGE=...]   a shell in the guest, modules loaded, disk on /mnt'
	@echo '  make modules KDIR=...    the modules for your own kernel, in this directory'
	@echo '                           ARCH=arm64 for a kernel of another processor'
	@echo '  make deb                 packages for Debian trixie, into deb/ (as root)'
	@echo '  make series KSRC=...     patches for the tree of a kernel, into series/'
	@echo '  make kunit               the KUnit suites in such a tree, by kunit.py;'
	@echo '                           ARCH= one of um, x86_64, arm64, arm64_64k, s390'
	@echo '  make dropin FS=... KDIR=...   your C filesystem on rust_mpage'
	@echo '  make lint                clippy, rustfmt, checkpatch and more'
	@echo '  make doc                 the API documentation, into doc/'
	@echo '  make htmldocs            Documentation/ and manual pages as a site, and that'
	@echo '  make clean               remove what was built in this directory'
	@echo '  make distclean           and the cache: kernels, tools, disks'
	@echo
	@echo 'Variables:'
	@echo '  KSRC=    a Linux 7.3 source tree, or 7.2 (default: Debian, trixie-backports)'
	@echo '  KDIR=    a prepared build of it for run and shell; KDIR_CHECKED= for test'
	@echo '  KSRC_7_2=   the same for TESTS=compat: a Linux 7.2 source tree (test)'
	@echo '  LLVM=    as in the kernel: -22, /path/to/bin/, 1'
	@echo '  RUSTC=   BINDGEN=   paths of the tools'
	@echo '  ACCEL=   kvm or tcg (default: KVM is tried once)'
	@echo '  FSTYPE=  ext2 takes the C filesystem, to compare (run, test)'
	@echo '  MOUNT_OPTIONS=   what rust_ext2 is mounted with besides, such as nodelalloc (test, bench)'
	@echo '  SECONDS= SEED=   of the tests that work by chance (test);'
	@echo '           SECONDS= the limit of one test (xfstests)'
	@echo '  RUST_MPAGE_CACHE=   default: $$XDG_CACHE_HOME/rust_mpage or ~/.cache/rust_mpage'

run test broken xfstests bench shell modules dropin deb series kunit lint doc htmldocs:
	$(rmp) $@

# What an in-place `make modules` leaves, by name: no kernel is needed.
clean:
	@find . \( -path ./.git -o -path ./tools \) -prune -o -type f \( \
		-name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' \
		-o -name '.*.cmd' -o -name '.*.d' -o -name '*.rmeta' -o -name '*.bc' \
		-o -name 'modules.order' -o -name 'Module.symvers' \
		-o -name '*_generated.*' -o -name '.module-common.c' \
		-o -name 'built-in.a' \) -exec rm -f {} +
	@find . -name __pycache__ -prune -exec rm -rf {} +
	@rm -rf doc deb series
	@rmdir crate 2>/dev/null || true

distclean: clean
	$(rmp) distclean

endif
