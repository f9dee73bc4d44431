//! Which signal: its number, and what people call it.
use std::fmt;
use std::io;

/// A signal of the system, by its number.
///
/// The usual ones are constants of this module; a number, as those of the crate `libc`, becomes any
/// other by `From`.
///
/// # Examples
///
/// ```
/// use maypole::signal::{SIGTERM, Signal};
/// assert_eq!(SIGTERM.to_string(), "SIGTERM");
/// assert_eq!(Signal::from(15), SIGTERM);
/// assert_eq!(SIGTERM.number(), 15);
/// assert_eq!(Signal::from(50).to_string(), "signal 50");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

macro_rules! signals {
    ($($name:ident: $meaning:literal,)*) => {
        $(
            #[doc = $meaning]
            pub const $name: Signal = Signal(libc::$name);
        )*

        /// The name of a usual one.
        fn name(signal: Signal) -> Option<&'static str> {
            match signal {
                $($name => Some(stringify!($name)),)*
                _ => None,
            }
        }
    };
}

signals! {
    SIGHUP: "The terminal is gone; by custom, a server reads its configuration again.",
    SIGINT: "Somebody has pressed ^C.",
    SIGQUIT: "Somebody has pressed ^\\\\.",
    SIGILL: "An instruction that is none. It cannot be listened to.",
    SIGTRAP: "A breakpoint.",
    SIGABRT: "The process gives up.",
    SIGBUS: "Memory that is not there. It cannot be listened to.",
    SIGFPE: "A division by zero, say. It cannot be listened to.",
    SIGKILL: "Ends a process, whatever that does. It cannot be listened to.",
    SIGUSR1: "Means what the program says it means.",
    SIGSEGV: "Memory that is not there. It cannot be listened to.",
    SIGUSR2: "Means what the program says it means.",
    SIGPIPE: "Nobody reads what was written.",
    SIGALRM: "An alarm that was set.",
    SIGTERM: "Asks a process to end.",
    SIGCHLD: "A child has ended, or was stopped.",
    SIGCONT: "Lets a stopped process go on.",
    SIGSTOP: "Stops a process, whatever that does. It cannot be listened to.",
    SIGTSTP: "Somebody has pressed ^Z.",
    SIGTTIN: "A background process has read from its terminal.",
    SIGTTOU: "A background process has written to its terminal.",
    SIGURG: "Urgent data at a socket.",
    SIGXCPU: "The limit of processor time is reached.",
    SIGXFSZ: "The limit of a file's size is reached.",
    SIGVTALRM: "An alarm of the process's own time.",
    SIGPROF: "An alarm of a profiler.",
    SIGWINCH: "The size of the terminal's window has changed.",
    SIGIO: "Something can be read or written.",
    SIGSYS: "A system call that is none.",
}

impl Signal {
    /// The system's number for it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(maypole::signal::SIGKILL.number(), 9);
    /// ```
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Refuses those that no handler may have.
    ///
    /// # Errors
    ///
    /// With the reason.
    pub(super) fn ask_for_listening(self) -> io::Result<()> {
        let reason = match self {
            SIGKILL | SIGSTOP => "the system lets nobody listen to it",
            SIGSEGV | SIGBUS | SIGILL | SIGFPE => {
                "it tells of a fault of the running code, which would be met again for ever"
            }
            _ => return Ok(()),
        };
        let text = format!("maypole: {self} cannot be waited for: {reason}");
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    }
}

impl From<i32> for Signal {
    fn from(number: i32) -> Signal {
        Signal(number)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match name(*self) {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
