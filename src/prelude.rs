//! What most programs use: `use maypole::prelude::*;`.
pub use crate::generator::{Generator, Yielder};
pub use crate::task::{JoinError, JoinHandle, Task};
pub use crate::time::sleep;
pub use crate::{run, scope, spawn, spawn_now, yield_now};
pub use std::time::Duration;
