//! `std::thread` and crossbeam's scoped threads, as far as the tests use them.
use std::convert::Infallible;

pub use maypole::{sleep, spawn, yield_now, JoinHandle, ScopedJoinHandle};
pub use std::thread::panicking;

/// A scope whose tasks get it as an argument.
pub struct Scope<'scope, 'env>(&'scope maypole::Scope<'scope, 'env>);

impl<'scope, 'env> Scope<'scope, 'env> {
    pub fn spawn<T: 'scope>(
        &self,
        f: impl FnOnce(&Scope<'scope, 'env>) -> T + 'scope,
    ) -> ScopedJoinHandle<'scope, T> {
        let scope = self.0;
        scope.spawn(move || f(&Scope(scope)))
    }
}

/// Tasks that may borrow. A panic in one of them passes through, where crossbeam returns it.
pub fn scope<'env, T>(
    f: impl for<'scope> FnOnce(&Scope<'scope, 'env>) -> T,
) -> Result<T, Infallible> {
    Ok(maypole::scope(|scope| f(&Scope(scope))))
}
