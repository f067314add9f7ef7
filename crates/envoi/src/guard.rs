//! Keeps the transport from feeding on itself.
//!
//! An application may turn log events into envelopes. The transport and the libraries below it log, too; an envelope
//! about the sending of an envelope would never end. So a thread knows when it is inside the transport, and what is
//! posted from there is refused.

use std::cell::Cell;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    #[cfg(feature = "tracing")]
    static EMITTING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread runs the transport's own code.
pub(crate) fn is_inside() -> bool {
    // Late in the life of a thread the flag is gone; then nothing of ours runs on it.
    INSIDE.try_with(Cell::get).unwrap_or(false)
}

/// This thread belongs to the transport for good.
pub(crate) fn settle() {
    INSIDE.with(|inside| inside.set(true));
}

struct Reset {
    flag: &'static std::thread::LocalKey<Cell<bool>>,
    before: bool,
}

impl Drop for Reset {
    fn drop(&mut self) {
        let _ = self.flag.try_with(|flag| flag.set(self.before));
    }
}

fn with_flag<T>(flag: &'static std::thread::LocalKey<Cell<bool>>, run: impl FnOnce() -> T) -> T {
    let before = flag.try_with(|flag| flag.replace(true)).unwrap_or(true);
    let _reset = Reset { flag, before };
    run()
}

/// Runs code of the transport.
pub(crate) fn inside<T>(run: impl FnOnce() -> T) -> T {
    with_flag(&INSIDE, run)
}

/// Lets the transport say something to the application's subscriber, unless it is saying something already.
#[cfg(feature = "tracing")]
pub(crate) fn emit(say: impl FnOnce()) {
    if !EMITTING.try_with(Cell::get).unwrap_or(true) {
        with_flag(&EMITTING, || inside(say));
    }
}
