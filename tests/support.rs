// SPDX-License-Identifier: GPL-2.0

//! The unsafe part of the tests: safe owners of the C disks, mounts and inodes, and in `operations`
//! what C calls.
//!
//! Lock order: the mutex of the shared bench outside of everything in `page_cache.c`.

use crate::{
    table::{
        Answer,
        Call,
        Table,
        MAIN,
        OTHER, //
    },
    Engine, //
};
use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    page::PAGE_SIZE,
    prelude::*, //
};
use rust_mpage::{
    block::BlockDevice,
    fs::{
        Inode,
        InodeType, //
    }, //
};

mod dirty;
mod operations;

mod bindings {
    #![allow(
        clippy::all,
        clippy::undocumented_unsafe_blocks,
        dead_code,
        improper_ctypes,
        missing_docs,
        non_camel_case_types,
        non_upper_case_globals,
        unreachable_pub,
        unsafe_op_in_unsafe_fn
    )]
    include!(env!("RUST_MPAGE_TEST_BINDINGS"));
}

pub(crate) use self::bindings::{
    pattern_disk_bio as Bio,
    pattern_disk_faults as Faults,
    test_dirty_folio as DirtyState,
    test_filesystem as Filesystem,
    test_filesystem_TEST_CLOSING as CLOSING,
    test_filesystem_TEST_FREEZING as FREEZING,
    test_filesystem_TEST_FROZEN as FROZEN,
    test_filesystem_TEST_OPEN as OPEN,
    test_filesystem_TEST_READ_ONLY as READ_ONLY,
    test_folio as FolioState,
    test_request as Request,
    test_written as Written, //
};
pub(crate) use self::dirty::BufferArgs;

/// When the bios of a disk end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Completion {
    /// Before `submit_bio()` returns.
    AtOnce,
    /// From a timer, in order.
    InOrder,
    /// From a timer, the last one first.
    Reversed,
    /// In order, after a request that is waited for.
    Held,
}

/// What uptodate buffers of a test are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BufferState {
    /// As the disk, to the kernel's knowledge.
    Clean,
    /// To be written.
    Dirty,
}

/// A disk of `pattern_disk.c`.
///
/// # Invariants
///
/// Owns a disk of `pattern_disk_create()`.
struct Disk(NonNull<bindings::pattern_disk>);

impl Disk {
    fn new(sectors: u64, number: u32, recorder: Option<&Disk>) -> Result<Self> {
        let recorder = recorder.map_or(ptr::null_mut(), |disk| disk.0.as_ptr());
        // SAFETY: The recorder is a disk by its invariants, and outlives this one in `Bench`.
        let disk =
            from_err_ptr(unsafe { bindings::pattern_disk_create(sectors, number, recorder) })?;
        // INVARIANT: Created above.
        Ok(Self(NonNull::new(disk).ok_or(EINVAL)?))
    }

    fn bdev(&self) -> *mut kernel::bindings::block_device {
        // SAFETY: The disk is valid by the type invariants.
        unsafe { bindings::pattern_disk_bdev(self.0.as_ptr()) }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // SAFETY: The disk is ours; folios and inodes that use it are gone, so no bio is left.
        unsafe { bindings::pattern_disk_destroy(self.0.as_ptr()) };
    }
}

/// Two disks and a mount on the first.
///
/// # Invariants
///
/// `mount` is a mount of `test_fs_mount()` on the two disks. `_other` records at `main`.
pub(crate) struct Bench {
    mount: NonNull<kernel::bindings::vfsmount>,
    _other: Disk,
    main: Disk,
}

// SAFETY: Mount and disks belong to no thread.
unsafe impl Send for Bench {}

/// Sectors of the disks, unless a case says otherwise.
pub(crate) const SECTORS: u64 = 1 << 21;

kernel::sync::global_lock! {
    // SAFETY: Initialised by `Registration::new`, in module initialisation; tests run after it.
    unsafe(uninit) static SHARED: Mutex<Option<Bench>> = None;
}

/// Runs a case on disks that all cases share: to make some takes far longer than most cases do.
///
/// They hold the module, and go when there has been no case for a second.
pub(crate) fn on_shared_bench<T>(run: impl FnOnce(&Bench) -> Result<T>) -> Result<T> {
    // SAFETY: Called by a test case, which may sleep.
    unsafe { bindings::test_not_idle() };
    let mut shared = SHARED.lock();
    if shared.is_none() {
        *shared = Some(Bench::new()?);
    }
    let result = run(shared.as_ref().ok_or(EINVAL)?);
    drop(shared);
    // SAFETY: `give_up_shared_bench` can be called until `test_not_idle()` when the module goes.
    unsafe { bindings::test_when_idle(Some(give_up_shared_bench)) };
    result
}

/// Closes the shared disks.
///
/// # Safety
///
/// `SHARED` is initialised.
unsafe extern "C" fn give_up_shared_bench() {
    let bench = SHARED.lock().take();
    drop(bench);
}

impl Bench {
    /// Sets up the disks.
    fn new() -> Result<Self> {
        let main = Disk::new(SECTORS, MAIN, None)?;
        let other = Disk::new(SECTORS, OTHER, Some(&main))?;
        // SAFETY: The devices are open while the disks live, which is longer than the mount does.
        let mount = from_err_ptr(unsafe { bindings::test_fs_mount(main.bdev(), other.bdev()) })?;
        // INVARIANT: Mounted above.
        Ok(Self {
            mount: NonNull::new(mount).ok_or(EINVAL)?,
            _other: other,
            main,
        })
    }

    /// Gives the main disk so many sectors, empties its cache and its record, and says what fails
    /// there and when its bios end from now on.
    pub(crate) fn prepare(&self, sectors: u64, faults: &Faults, completion: Completion) {
        let completion = match completion {
            Completion::AtOnce => bindings::pattern_disk_completion_PATTERN_DISK_AT_ONCE,
            Completion::InOrder => bindings::pattern_disk_completion_PATTERN_DISK_IN_ORDER,
            Completion::Reversed => bindings::pattern_disk_completion_PATTERN_DISK_REVERSED,
            Completion::Held => bindings::pattern_disk_completion_PATTERN_DISK_HELD,
        };
        let disk = self.main.0.as_ptr();
        // SAFETY: The disk is valid by its invariants.
        unsafe {
            bindings::pattern_disk_resize(disk, sectors);
            bindings::pattern_disk_forget(disk);
            bindings::pattern_disk_set_faults(disk, faults);
            bindings::pattern_disk_set_completion(disk, completion);
        }
    }

    /// The bios that reached the disks since [`Self::prepare`], in order.
    pub(crate) fn bios(&self) -> Result<KVec<Bio>> {
        let disk = self.main.0.as_ptr();
        let mut bios = KVec::new();
        // SAFETY: The disk is valid by its invariants.
        for index in 0..unsafe { bindings::pattern_disk_bios(disk) } {
            let mut bio = Bio::default();
            // SAFETY: As above, and `bio` may be written.
            to_result(unsafe { bindings::pattern_disk_bio(disk, index, &mut bio) })?;
            bios.push(bio, GFP_KERNEL)?;
        }
        Ok(bios)
    }

    /// How many bios were on their way to the main disk at one time.
    pub(crate) fn most_waiting(&self) -> u32 {
        // SAFETY: The disk is valid by its invariants.
        unsafe { bindings::pattern_disk_most_waiting(self.main.0.as_ptr()) }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // SAFETY: The mount is ours; files borrow the bench, so they are gone.
        unsafe { bindings::test_fs_unmount(self.mount.as_ptr()) };
    }
}

/// Whether the kernel has folios of `order` in files: without huge pages all are of a page.
pub(crate) fn has_order(order: u32) -> bool {
    order == 0 || cfg!(CONFIG_TRANSPARENT_HUGEPAGE)
}

/// Those of `orders` that the kernel has in files.
pub(crate) fn orders(orders: &[u32]) -> impl Iterator<Item = u32> + '_ {
    orders.iter().copied().filter(|order| has_order(*order))
}

/// What a file is like.
pub(crate) struct FileArgs {
    pub(crate) engine: Engine,
    pub(crate) size: u64,
    pub(crate) block_bits: u32,
    pub(crate) order: u32,
}

/// A file without a name, with an empty page cache at first.
///
/// # Invariants
///
/// `inode` is an inode of `test_inode_new()` whose `i_private` is `table`.
pub(crate) struct File<'b> {
    inode: NonNull<kernel::bindings::inode>,
    table: Pin<KBox<Table>>,
    _bench: PhantomData<&'b Bench>,
}

impl<'b> File<'b> {
    /// Makes a file on the bench.
    pub(crate) fn new(bench: &'b Bench, args: &FileArgs, table: Pin<KBox<Table>>) -> Result<Self> {
        let c_args = bindings::test_inode_args {
            aops: match args.engine {
                Engine::Rust => &raw const operations::GOOD,
                Engine::CInterface => &raw const bindings::test_aops_c_interface,
                Engine::Kernel => &raw const bindings::test_aops_kernel,
                Engine::Dropping => &raw const operations::DROPPING,
                Engine::Careless => &raw const operations::CARELESS,
                Engine::Buffered => &raw const operations::BUFFERED,
                Engine::Unbuffered => &raw const operations::UNBUFFERED,
            },
            size: args.size,
            block_bits: args.block_bits,
            order: args.order,
            table: ptr::from_ref::<Table>(&table).cast_mut().cast(),
            without_buffers: matches!(args.engine, Engine::Buffered | Engine::Unbuffered),
        };
        // SAFETY: The mount is valid by the invariants of `Bench`.
        let inode = unsafe { bindings::test_inode_new(bench.mount.as_ptr(), &c_args) };
        // INVARIANT: Made above with this table.
        Ok(Self {
            inode: NonNull::new(inode).ok_or(ENOMEM)?,
            table,
            _bench: PhantomData,
        })
    }

    /// The file's table.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Reads ahead as the kernel does.
    pub(crate) fn readahead(&self, page: u64, pages: u64) {
        // SAFETY: The inode is valid by the type invariants.
        unsafe { bindings::test_readahead(self.inode.as_ptr(), page, pages) };
    }

    /// Reads ahead from the start of the file in folios of these orders; an allocation may fail.
    pub(crate) fn readahead_orders(&self, orders: &[u8], fail_nth: u32) -> Result {
        // SAFETY: The inode is valid by the type invariants, and `orders` has that many entries.
        to_result(unsafe {
            bindings::test_readahead_orders(
                self.inode.as_ptr(),
                0,
                orders.as_ptr(),
                orders.len() as u32,
                fail_nth,
            )
        })
    }

    /// Reads the folio of a page. The error is what the reader gets.
    pub(crate) fn read(&self, page: u64) -> Result {
        // SAFETY: The inode is valid by the type invariants.
        to_result(unsafe { bindings::test_read(self.inode.as_ptr(), page) })
    }

    /// Calls `read_folio` for the folio of a page while an allocation fails.
    pub(crate) fn read_failing(&self, page: u64, fail_nth: u32) -> Result {
        // SAFETY: The inode is valid by the type invariants.
        to_result(unsafe { bindings::test_read_failing(self.inode.as_ptr(), page, fail_nth) })
    }

    /// Makes the allocations for the mapping ones that may fail.
    pub(crate) fn hold_back_memory(&self) {
        // SAFETY: The inode is valid by the type invariants, and no I/O is on its way.
        unsafe { bindings::test_inode_hold_back_memory(self.inode.as_ptr()) };
    }

    /// Gives a folio buffers, after bringing it into the cache if it is not there; those of
    /// `uptodate` are full of `byte`.
    pub(crate) fn add_buffers(
        &self,
        page: u64,
        uptodate: u64,
        byte: u8,
        state: BufferState,
    ) -> Result {
        let dirty = matches!(state, BufferState::Dirty);
        // SAFETY: The inode is valid by the type invariants.
        to_result(unsafe {
            bindings::test_add_buffers(self.inode.as_ptr(), page, uptodate, byte, dirty)
        })
    }

    /// The state of the folio of a page once it is unlocked, if it is in the cache.
    pub(crate) fn folio(&self, page: u64) -> Option<FolioState> {
        let mut state = FolioState::default();
        // SAFETY: The inode is valid by the type invariants, and `state` may be written.
        let result = unsafe { bindings::test_folio(self.inode.as_ptr(), page, &mut state) };
        (result == 0).then_some(state)
    }

    /// Copies what the cache has of a page.
    pub(crate) fn copy_page(&self, page: u64, to: &mut [u8]) -> Result {
        if to.len() != PAGE_SIZE {
            return Err(EINVAL);
        }
        // SAFETY: The inode is valid by the type invariants, and `to` is a page's bytes.
        to_result(unsafe {
            bindings::test_copy_page(self.inode.as_ptr(), page, to.as_mut_ptr().cast())
        })
    }
}

impl Drop for File<'_> {
    fn drop(&mut self) {
        // SAFETY: The inode is ours. The table goes after it.
        unsafe { bindings::test_inode_free(self.inode.as_ptr()) };
    }
}

/// An inode of `page_cache.c`.
///
/// # Invariants
///
/// As [`Inode`]; and it belongs to a [`File`], which outlives it.
#[repr(transparent)]
pub(crate) struct TestInode(Inode);

// SAFETY: A transparent wrapper of `Inode`.
unsafe impl InodeType for TestInode {
    unsafe fn from_raw<'a>(ptr: *mut kernel::bindings::inode) -> &'a Self {
        // SAFETY: By the safety requirements; `Self` is a transparent wrapper.
        unsafe { &*ptr.cast() }
    }
}

impl AsRef<Inode> for TestInode {
    fn as_ref(&self) -> &Inode {
        &self.0
    }
}

impl TestInode {
    /// Asks the file's table.
    pub(crate) fn ask(&self, at: u64, max: u64, create: bool) -> Result<Answer> {
        let inode = self.0.as_raw();
        // SAFETY: By the type invariants `i_private` is the table of a living file.
        let table = unsafe { &*(*inode).i_private.cast::<Table>() };
        // SAFETY: The superblock's device is a pattern disk, open while there are inodes.
        let bios_before = unsafe {
            bindings::pattern_disk_bios(bindings::pattern_disk_of((*(*inode).i_sb).s_bdev))
        };
        table.answer(Call {
            at,
            max,
            create,
            bios_before,
        })
    }

    /// The device that the file is on.
    pub(crate) fn main_device(&self) -> &BlockDevice {
        self.0.device()
    }

    /// The other device.
    pub(crate) fn other_device(&self) -> &BlockDevice {
        // SAFETY: The inode is valid, and the device open as long as the superblock.
        unsafe { BlockDevice::from_raw(bindings::test_inode_other_bdev(self.0.as_raw())) }
    }
}

/// Begins to mount a filesystem of a type, and gives that up.
pub(crate) fn open_context(name: &CStr) -> Result {
    // SAFETY: The name is NUL-terminated.
    to_result(unsafe { bindings::test_open_context(name.as_char_ptr()) })
}

/// The registration of the filesystem type.
///
/// # Invariants
///
/// The type is registered while a value lives.
pub(crate) struct Registration(());

impl Registration {
    /// Registers the type.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, from module initialisation.
        unsafe { SHARED.init() };
        // SAFETY: As above.
        to_result(unsafe { bindings::test_fs_register() })?;
        // INVARIANT: Registered above.
        Ok(Self(()))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: No test case runs any more.
        unsafe { bindings::test_not_idle() };
        drop(SHARED.lock().take());
        // SAFETY: Registered by the type invariants.
        unsafe { bindings::test_fs_unregister() };
    }
}
