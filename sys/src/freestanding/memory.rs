//! Pages of memory that are really used, and, without `std`, the allocator and the functions compilers call by name.

use core::{ffi::c_void, ptr};

use rustix::{
    io::Errno,
    mm::{MapFlags, ProtFlags, mmap_anonymous, munmap},
};

/// Anonymous private memory that goes away when this value does.
pub struct Pages {
    start: *mut c_void,
    length: usize,
}

impl Pages {
    /// `mmap(NULL, length, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)`: `length` bytes, not touched yet.
    ///
    /// See <https://man7.org/linux/man-pages/man2/mmap.2.html>.
    ///
    /// # Errors
    /// `ENOMEM` when the address space or the kernel has no more.
    pub fn map(length: usize) -> Result<Pages, Errno> {
        // SAFETY: a new anonymous mapping at a place the kernel chooses overlaps nothing.
        let start = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        Ok(Pages { start, length })
    }

    /// All bytes; reading or writing one makes the kernel provide its page.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: `start` is the start of a readable and writable mapping of `length` bytes that only this value owns,
        // zeroed by the kernel, and it is unmapped only by `drop`.
        unsafe { core::slice::from_raw_parts_mut(self.start.cast(), self.length) }
    }

    /// Writes into each page of 4096 bytes from `from` on, `count` bytes far, so that they are resident.
    pub fn touch(&mut self, from: usize, count: usize) {
        let end = (from + count).min(self.length);
        let mut at = from;
        while at < end {
            let place = self.start.cast::<u8>().wrapping_add(at);
            // SAFETY: `at` is below `length`, hence inside the mapping; volatile, so that the store is not left out.
            unsafe { place.write_volatile(0xa5) };
            at += 4096;
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own and nothing borrows it any more.
        let unmapped = unsafe { munmap(self.start, self.length) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own is unmapped");
    }
}

#[cfg(all(feature = "freestanding", not(feature = "std")))]
mod bare {
    use core::{
        alloc::{GlobalAlloc, Layout},
        cell::UnsafeCell,
        ptr,
    };

    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

    /// Larger blocks get a mapping of their own.
    const LARGEST_CLASS: u32 = 16;
    /// How much is fetched from the kernel at a time.
    const CHUNK: usize = 256 << 10;
    /// What is there from the start, so that a short program maps nothing.
    const FIRST: usize = 48 << 10;

    /// A bump allocator whose freed blocks, rounded up to powers of two, are used again.
    struct Allocator {
        state: UnsafeCell<State>,
        first: UnsafeCell<First>,
    }

    #[repr(align(64))]
    struct First(#[expect(dead_code, reason = "reached by address only")] [u8; FIRST]);

    struct State {
        next: *mut u8,
        left: usize,
        free: [*mut u8; LARGEST_CLASS as usize + 1],
        begun: bool,
    }

    // SAFETY: freestanding programs have one thread (`_start` starts it and nothing in this crate's `freestanding`
    // module starts another), and no signal handler of this crate allocates: there is no concurrent access.
    unsafe impl Sync for Allocator {}

    #[global_allocator]
    static ALLOCATOR: Allocator = Allocator {
        state: UnsafeCell::new(State {
            next: ptr::null_mut(),
            left: 0,
            free: [ptr::null_mut(); LARGEST_CLASS as usize + 1],
            begun: false,
        }),
        first: UnsafeCell::new(First([0; FIRST])),
    };

    /// The power of two that holds `layout`, as an exponent.
    fn class(layout: Layout) -> u32 {
        layout
            .size()
            .max(layout.align())
            .max(16)
            .next_power_of_two()
            .trailing_zeros()
    }

    /// A mapping of `length` bytes, or null.
    fn map(length: usize) -> *mut u8 {
        // SAFETY: a new anonymous mapping at a place the kernel chooses overlaps nothing.
        let mapped = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        };
        mapped.map_or(ptr::null_mut(), |start| start.cast())
    }

    // SAFETY: blocks are handed out from memory this allocator alone owns, of at least the asked size, aligned to the
    // power of two they are rounded to (chunks are page-aligned or 64-aligned and bumped past misaligned rests), and a
    // block is handed out again only after it was given back.
    unsafe impl GlobalAlloc for Allocator {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let class = class(layout);
            let size = 1_usize << class;
            if class > LARGEST_CLASS {
                return map(size);
            }
            // SAFETY: one thread, and no reference to the state outlives a call of this trait.
            let state = unsafe { &mut *self.state.get() };
            let free = state.free[class as usize];
            if !free.is_null() {
                // SAFETY: a freed block's first word holds the next free block's address; `dealloc` wrote it.
                state.free[class as usize] = unsafe { free.cast::<*mut u8>().read() };
                return free;
            }
            if !state.begun {
                state.begun = true;
                state.next = self.first.get().cast();
                state.left = FIRST;
            }
            let mut skip = state.next.align_offset(size);
            if skip.saturating_add(size) > state.left {
                let chunk = map(CHUNK);
                if chunk.is_null() {
                    return chunk;
                }
                state.next = chunk;
                state.left = CHUNK;
                skip = chunk.align_offset(size);
                if skip.saturating_add(size) > state.left {
                    return ptr::null_mut();
                }
            }
            // SAFETY: `skip + size` is at most what is left of the chunk, checked above.
            let block = unsafe { state.next.add(skip) };
            // SAFETY: as above; one past the end of the chunk at most.
            state.next = unsafe { block.add(size) };
            state.left -= skip + size;
            block
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            let class = class(layout);
            if class > LARGEST_CLASS {
                // SAFETY: `alloc` mapped exactly this many bytes for a layout of this class.
                let unmapped = unsafe { munmap(block.cast(), 1 << class) };
                debug_assert!(unmapped.is_ok(), "a mapping of our own is unmapped");
                return;
            }
            // SAFETY: one thread, and no reference to the state outlives a call of this trait.
            let state = unsafe { &mut *self.state.get() };
            // SAFETY: the block is at least 16 bytes, aligned to at least 16, and nobody uses it any more.
            unsafe { block.cast::<*mut u8>().write(state.free[class as usize]) };
            state.free[class as usize] = block;
        }
    }

    /// `memcpy(3)`.
    ///
    /// # Safety
    /// `count` bytes are readable at `from` and writable at `to`, and they do not overlap.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
        // SAFETY: the caller's promise covers every byte the forward copy reads and writes.
        unsafe { forward(to, from, count) };
        to
    }

    /// Copies from the lowest byte up.
    ///
    /// # Safety
    /// `count` bytes are readable at `from` and writable at `to`; if they overlap, `to` is the lower one.
    #[inline(always)]
    unsafe fn forward(to: *mut u8, from: *const u8, count: usize) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: copies `count` bytes upwards, which the caller says are ours; the direction flag is clear by the ABI.
        unsafe {
            core::arch::asm!("rep movsb", inout("rcx") count => _, inout("rdi") to => _, inout("rsi") from => _,
                options(nostack, preserves_flags));
        }
        #[cfg(not(target_arch = "x86_64"))]
        for at in 0..count {
            // SAFETY: `at` is below `count`; volatile, so that the loop is not turned into a call of this function.
            let byte = unsafe { ptr::read_volatile(from.wrapping_add(at)) };
            // SAFETY: `at` is below `count`, and the caller promised that many writable bytes at `to`.
            unsafe { ptr::write_volatile(to.wrapping_add(at), byte) };
        }
    }

    /// `memmove(3)`.
    ///
    /// # Safety
    /// `count` bytes are readable at `from` and writable at `to`.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
        if to.addr().wrapping_sub(from.addr()) >= count {
            // SAFETY: `to` is below `from` or beyond its end, so that going up reads each byte before it is written.
            unsafe { forward(to, from, count) };
            return to;
        }
        for at in (0..count).rev() {
            // SAFETY: `at` is below `count`; volatile, so that the loop is not turned into a call of this function.
            let byte = unsafe { ptr::read_volatile(from.wrapping_add(at)) };
            // SAFETY: `at` is below `count`, and the caller promised that many writable bytes at `to`.
            unsafe { ptr::write_volatile(to.wrapping_add(at), byte) };
        }
        to
    }

    /// `memset(3)`.
    ///
    /// # Safety
    /// `count` bytes are writable at `to`.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: writes `count` bytes upwards, which the caller says are ours; the direction flag is clear by the ABI.
        unsafe {
            core::arch::asm!("rep stosb", inout("rcx") count => _, inout("rdi") to => _, in("al") byte as u8,
                options(nostack, preserves_flags));
        }
        #[cfg(not(target_arch = "x86_64"))]
        for at in 0..count {
            // SAFETY: `at` is below `count`; volatile, so that the loop is not turned into a call of this function.
            unsafe { ptr::write_volatile(to.wrapping_add(at), byte as u8) };
        }
        to
    }

    /// `memcmp(3)`.
    ///
    /// # Safety
    /// `count` bytes are readable at `left` and at `right`.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
        for at in 0..count {
            // SAFETY: `at` is below `count`; volatile, so that the loop is not turned into a call of this function.
            let one = unsafe { ptr::read_volatile(left.wrapping_add(at)) };
            // SAFETY: `at` is below `count`, and the caller promised that many readable bytes at `right`.
            let other = unsafe { ptr::read_volatile(right.wrapping_add(at)) };
            if one != other {
                return i32::from(one) - i32::from(other);
            }
        }
        0
    }

    /// `bcmp(3)`.
    ///
    /// # Safety
    /// `count` bytes are readable at `left` and at `right`.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
        // SAFETY: the same promise.
        unsafe { memcmp(left, right, count) }
    }

    /// `strlen(3)`, which `CStr::from_ptr` calls by name.
    ///
    /// # Safety
    /// A zero byte ends the string.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn strlen(text: *const u8) -> usize {
        let mut length = 0;
        // SAFETY: not past the zero byte; volatile, so that the loop is not turned into a call of this function.
        while unsafe { ptr::read_volatile(text.wrapping_add(length)) } != 0 {
            length += 1;
        }
        length
    }
}
