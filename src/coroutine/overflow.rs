//! Says which task or generator overflowed its stack before the process dies of it.
//!
//! The handler only reports. It never tries to save the process: the fault may have come in the
//! middle of the allocator, with any lock held and any cell borrowed.
#![allow(unsafe_code)]

use super::arena::LARGEST;
use super::guard;
use super::stack::{Crown, Kind, Label};
use libc::{c_int, c_void, siginfo_t};
use std::io;
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::sync::{Once, OnceLock};

/// Installs the handler once per process, and an alternate signal stack on this OS thread if it
/// has none: the handler cannot run on the stack that overflowed.
pub(crate) fn watch() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        for (signal, previous) in PREVIOUS.each_ref() {
            install(*signal, previous);
        }
    });
    // Fails only in the destructors of thread-locals, late in the life of an OS thread.
    let _ = ALTERNATE.try_with(|_| ());
}

/// What handled the signals before: std's handler, which reports the overflow of an OS thread, or
/// a host's.
static PREVIOUS: [(c_int, OnceLock<libc::sigaction>); 2] = [
    (libc::SIGSEGV, OnceLock::new()),
    (libc::SIGBUS, OnceLock::new()),
];

fn install(signal: c_int, previous: &OnceLock<libc::sigaction>) {
    let mut old = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: only asks, and writes the answer into `old`.
    if unsafe { libc::sigaction(signal, ptr::null(), old.as_mut_ptr()) } != 0 {
        return;
    }
    // SAFETY: the call above succeeded, so it wrote `old`.
    let old = unsafe { old.assume_init() };
    let mut new = old;
    new.sa_sigaction = handle as *const () as usize;
    // The flags that a previous handler may rely on stay.
    new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | (old.sa_flags & libc::SA_NODEFER);
    // Stored first: the handler may run as soon as it is installed.
    let _ = previous.set(old);
    // SAFETY: `handle` has the signature that `SA_SIGINFO` asks for and does only what a signal
    // handler may.
    unsafe { libc::sigaction(signal, &new, ptr::null_mut()) };
}

/// Reports an overflow of one of our stacks; leaves every other fault to whoever had it before.
///
/// # Safety
///
/// Called by the kernel, as the handler of a signal whose record has an address.
unsafe extern "C" fn handle(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid record.
    let record = unsafe { &*info };
    // SAFETY: these signals' records have an address.
    let address = unsafe { record.si_addr() }.addr();
    let slot = guard::find(address).filter(|slot| slot.guards(address));
    // SAFETY: found on this OS thread, where nothing else runs before this handler returns.
    match slot.and_then(|slot| Some((slot, unsafe { Crown::label(slot) }?))) {
        Some((slot, label)) => {
            report(label, slot.stack_bytes);
            // The faulting instruction runs again, and now the process dies of it.
            restore_default(signal);
        }
        None => pass_on(signal, info, context),
    }
}

fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    type Plain = extern "C" fn(c_int);
    type WithInfo = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
    let previous = PREVIOUS
        .iter()
        .find(|(known, _)| *known == signal)
        .and_then(|(_, previous)| previous.get());
    match previous {
        Some(previous) if !matches!(previous.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) => {
            if previous.sa_flags & libc::SA_SIGINFO != 0 {
                // SAFETY: whoever installed it promised this signature by `SA_SIGINFO`.
                let handler: WithInfo = unsafe { mem::transmute(previous.sa_sigaction) };
                handler(signal, info, context);
            } else {
                // SAFETY: without `SA_SIGINFO` a handler takes the signal alone.
                let handler: Plain = unsafe { mem::transmute(previous.sa_sigaction) };
                handler(signal);
            }
        }
        // A fault cannot be ignored: it would come again for ever.
        _ => restore_default(signal),
    }
}

fn restore_default(signal: c_int) {
    // SAFETY: all zeroes is a valid `sigaction`: the default action, no flags, an empty mask.
    let default: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: restoring the default action is allowed in a handler.
    unsafe { libc::sigaction(signal, &default, ptr::null_mut()) };
}

fn report(label: &Label, stack_bytes: usize) {
    let mut message = Message::new();
    let larger = (stack_bytes * 4).min(LARGEST).ilog2();
    match label.kind {
        Kind::Task => {
            message.text("maypole: task '");
            match &label.name {
                Some(name) => message.text(name),
                None => message.site(label),
            }
            message.text("' (#");
            message.number(label.serial);
            message.text(", spawned at ");
            message.site(label);
            message.text(") overflowed its ");
            message.size(stack_bytes);
            message.text(
                " stack\n  if the depth is legitimate: task::Builder::new().stack_size(1 << ",
            );
            message.number(larger.into());
            message.text("), or Builder::new().stack_size(..) for all\n");
        }
        Kind::Generator => {
            message.text("maypole: generator made at ");
            message.site(label);
            message.text(" overflowed its ");
            message.size(stack_bytes);
            message.text(" stack\n  if the depth is legitimate: Generator::with_stack_size(1 << ");
            message.number(larger.into());
            message.text(", ..)\n");
        }
    }
    message.flush();
}

/// Text on its way to stderr: no allocation, no lock, no formatting.
struct Message {
    bytes: [u8; 256],
    used: usize,
}

impl Message {
    fn new() -> Message {
        Message {
            bytes: [0; 256],
            used: 0,
        }
    }

    fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            self.byte(byte);
        }
    }

    fn byte(&mut self, byte: u8) {
        if self.used == self.bytes.len() {
            self.flush();
        }
        self.bytes[self.used] = byte;
        self.used += 1;
    }

    fn site(&mut self, label: &Label) {
        self.text(label.site.file());
        self.text(":");
        self.number(label.site.line().into());
    }

    fn size(&mut self, bytes: usize) {
        let (count, unit) = match bytes {
            _ if bytes.is_multiple_of(1 << 30) => (bytes >> 30, " GiB"),
            _ if bytes.is_multiple_of(1 << 20) => (bytes >> 20, " MiB"),
            _ => (bytes >> 10, " KiB"),
        };
        self.number(count as u64);
        self.text(unit);
    }

    fn number(&mut self, number: u64) {
        if number > 9 {
            self.number(number / 10);
        }
        self.byte(b'0' + (number % 10) as u8);
    }

    fn flush(&mut self) {
        let mut rest = &self.bytes[..self.used];
        while !rest.is_empty() {
            // SAFETY: the buffer is `rest`, whole.
            let written = unsafe { libc::write(2, rest.as_ptr().cast(), rest.len()) };
            match usize::try_from(written) {
                Ok(written) if written > 0 => rest = &rest[written.min(rest.len())..],
                _ => break,
            }
        }
        self.used = 0;
    }
}

thread_local! {
    static ALTERNATE: Option<AlternateStack> = AlternateStack::unless_there_is_one();
}

/// A stack for signal handlers on an OS thread that std did not make: std gives its own one each.
struct AlternateStack {
    low: *mut c_void,
    bytes: usize,
}

impl AlternateStack {
    fn unless_there_is_one() -> Option<AlternateStack> {
        let mut current = MaybeUninit::<libc::stack_t>::uninit();
        // SAFETY: only asks, and writes the answer into `current`.
        if unsafe { libc::sigaltstack(ptr::null(), current.as_mut_ptr()) } != 0 {
            return None;
        }
        // SAFETY: the call above succeeded, so it wrote `current`.
        let current = unsafe { current.assume_init() };
        if current.ss_flags & libc::SS_DISABLE == 0 {
            return None;
        }
        AlternateStack::install().ok()
    }

    fn install() -> io::Result<AlternateStack> {
        let page = guard::page_size();
        // One page below guards it, and the handler it passes on to has 32 KiB beyond the frame
        // that the kernel writes.
        let bytes = (frame_bytes() + (32 << 10)).next_multiple_of(page) + page;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping touches nothing that exists.
        let low = unsafe { libc::mmap(ptr::null_mut(), bytes, access, flags, -1, 0) };
        if low == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = AlternateStack { low, bytes };
        // SAFETY: the lowest page of the mapping made above, which nobody uses.
        unsafe { libc::mprotect(low, page, libc::PROT_NONE) };
        let description = libc::stack_t {
            ss_sp: low.wrapping_byte_add(page),
            ss_flags: 0,
            ss_size: bytes - page,
        };
        // SAFETY: the memory stays mapped until the drop, which disables the stack first.
        if unsafe { libc::sigaltstack(&description, ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(stack)
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        let disabled = libc::stack_t {
            ss_sp: ptr::null_mut(),
            ss_flags: libc::SS_DISABLE,
            ss_size: self.bytes,
        };
        // SAFETY: this OS thread ends; no handler runs on the stack now.
        unsafe { libc::sigaltstack(&disabled, ptr::null_mut()) };
        // SAFETY: `install` mapped exactly this, and the kernel forgot it just above.
        unsafe { libc::munmap(self.low, self.bytes) };
    }
}

/// How much the kernel itself writes on a signal's stack; more on processors with wide registers.
fn frame_bytes() -> usize {
    #[cfg(target_os = "linux")]
    {
        const AT_MINSIGSTKSZ: libc::c_ulong = 51;
        // SAFETY: reads a table of constants.
        let bytes = unsafe { libc::getauxval(AT_MINSIGSTKSZ) };
        (bytes as usize).max(libc::MINSIGSTKSZ)
    }
    #[cfg(not(target_os = "linux"))]
    {
        libc::MINSIGSTKSZ
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        let mut message = Message::new();
        for bytes in [16 << 10, 1 << 20, 512 << 20, 1 << 30] {
            message.size(bytes);
            message.text("; ");
        }
        message.number(u64::MAX);
        let text = std::str::from_utf8(&message.bytes[..message.used]).unwrap();
        assert_eq!(text, "16 KiB; 1 MiB; 512 MiB; 1 GiB; 18446744073709551615");
    }

    #[test]
    fn an_os_thread_has_an_alternate_stack_once_it_watches() {
        watch();
        let mut current = MaybeUninit::<libc::stack_t>::zeroed();
        // SAFETY: only asks, and writes the answer into `current`.
        let failed = unsafe { libc::sigaltstack(ptr::null(), current.as_mut_ptr()) };
        assert_eq!(failed, 0);
        // SAFETY: the call above succeeded, so it wrote `current`.
        let current = unsafe { current.assume_init() };
        assert_eq!(current.ss_flags & libc::SS_DISABLE, 0);
    }
}
