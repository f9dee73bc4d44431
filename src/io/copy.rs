//! Copying all of a reader into a writer.
use crate::scheduler::park;
use crate::scheduler::wait::{Wait, What};
use std::io::{self, ErrorKind, Read, Write};
use std::panic::Location;

/// Bytes that are read at once.
const BLOCK: usize = 64 << 10;

/// Bytes that are copied between two turns of the others: some tens of microseconds.
const TURN: usize = 256 << 10;

/// What a read costs besides its bytes, in bytes: some readers give one at a time.
const CALL: usize = 1 << 10;

/// Copies all that `reader` gives, up to its end, into `writer`; tells how many bytes that were.
///
/// As [`std::io::copy`], for tasks: while one end waits the others go on, and they have their turns
/// also where neither does, as in memory.
///
/// Parks: as the reads and writes do, and it gives way now and then. A kill in between loses
/// nothing: all that was read is written. In the middle of a write it leaves part of a block
/// written.
///
/// # Errors
///
/// The first of a read or a write, but for `Interrupted`, after which it goes on. What was copied
/// before is written.
///
/// # Examples
///
/// ```
/// let mut copy = Vec::new();
/// let bytes = maypole::io::copy(&mut "to be kept".as_bytes(), &mut copy).unwrap();
/// assert_eq!((bytes, copy.as_slice()), (10, b"to be kept".as_slice()));
/// ```
#[track_caller]
pub fn copy<R: ?Sized + Read, W: ?Sized + Write>(
    reader: &mut R,
    writer: &mut W,
) -> io::Result<u64> {
    let at = Location::caller();
    // On the heap: the stack of a task is small.
    let mut block = vec![0; BLOCK].into_boxed_slice();
    let (mut copied, mut since_turn) = (0, 0);
    loop {
        match reader.read(&mut block) {
            Ok(0) => return Ok(copied),
            Ok(bytes) => {
                writer.write_all(&block[..bytes])?;
                copied += bytes as u64;
                since_turn += bytes;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        since_turn += CALL;
        if since_turn >= TURN {
            since_turn = 0;
            give_way(at);
        }
    }
}

/// A reader and a writer that never wait must not keep the core.
#[cold]
fn give_way(at: &'static Location<'static>) {
    if park::is_allowed() {
        let what = What::Turn;
        park::yield_as(Wait { what, at });
    }
}
