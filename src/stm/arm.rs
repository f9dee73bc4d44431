//! Arms: the parts of a transaction that are undone by themselves.
use super::Stop;
use super::attempt::forget_write;
use super::transaction::{Transaction, Undo};

impl Transaction {
    /// Runs `a`; if it retries, undoes what it wrote and runs `b`. Haskell's `orElse`.
    ///
    /// If both retry, the whole waits for a variable that either of them has read. An abort of `a`
    /// goes on to the outside, and `b` is not tried. Whatever an arm wrote that does not end with
    /// `Ok` is undone.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// The abort of `a`, or whatever `b` ends with.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, check, Stop, Transaction, TVar};
    /// fn withdraw<E>(tx: &Transaction, from: &TVar<i64>, amount: i64) -> Result<(), Stop<E>> {
    ///     from.update(tx, |balance| balance - amount);
    ///     check(from.read(tx) >= 0)
    /// }
    /// let (left, right) = (TVar::new(50), TVar::new(80));
    /// atomically(|tx| tx.or_else(|tx| withdraw(tx, &left, 60), |tx| withdraw(tx, &right, 60)));
    /// assert_eq!((left.get(), right.get()), (50, 20));
    /// ```
    #[inline]
    pub fn or_else<T, E>(
        &self,
        a: impl FnOnce(&Transaction) -> Result<T, Stop<E>>,
        b: impl FnOnce(&Transaction) -> Result<T, Stop<E>>,
    ) -> Result<T, Stop<E>> {
        match self.arm(a) {
            Err(Stop::Retry) => self.arm(b),
            ended => ended,
        }
    }

    /// Runs `a`; if it aborts, undoes what it wrote and gives the error to `handler`. Haskell's
    /// `catchSTM`.
    ///
    /// What was written before `a` stays. A retry of `a` goes through.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// A retry of `a`, or whatever `handler` ends with.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{abort, atomically, TVar};
    /// let steps = TVar::new(String::from("begun"));
    /// let caught = atomically(|tx| {
    ///     tx.catch(
    ///         |tx| {
    ///             steps.write(tx, String::from("half done"));
    ///             abort("no paper")
    ///         },
    ///         |_, error| Ok(error),
    ///     )
    /// });
    /// assert_eq!((caught, steps.get().as_str()), ("no paper", "begun"));
    /// ```
    #[inline]
    pub fn catch<T, E, F>(
        &self,
        a: impl FnOnce(&Transaction) -> Result<T, Stop<E>>,
        handler: impl FnOnce(&Transaction, E) -> Result<T, Stop<F>>,
    ) -> Result<T, Stop<F>> {
        match self.arm(a) {
            Ok(value) => Ok(value),
            Err(Stop::Retry) => Err(Stop::Retry),
            Err(Stop::Abort(error)) => self.arm(|tx| handler(tx, error)),
        }
    }

    fn arm<T, E>(
        &self,
        run: impl FnOnce(&Transaction) -> Result<T, Stop<E>>,
    ) -> Result<T, Stop<E>> {
        let arm = Arm::begin(self);
        let ended = run(self);
        if ended.is_ok() {
            arm.keep();
        }
        ended
    }
}

/// An arm that is under way: undone unless it is kept.
struct Arm<'a> {
    tx: &'a Transaction,
    outer: u64,
    arms: usize,
    hooks: usize,
}

impl<'a> Arm<'a> {
    fn begin(tx: &'a Transaction) -> Self {
        if tx.is_over() {
            tx.refuse();
        }
        Arm {
            tx,
            outer: tx.level.replace(tx.tick()),
            arms: tx.arms.borrow().len(),
            hooks: tx.hooks.borrow().len(),
        }
    }

    fn keep(self) {
        if !self.tx.is_over() {
            self.tx.level.set(self.outer);
        }
        std::mem::forget(self);
    }
}

impl Drop for Arm<'_> {
    fn drop(&mut self) {
        let tx = self.tx;
        if tx.is_over() {
            return;
        }
        tx.level.set(self.outer);
        while tx.arms.borrow().len() > self.arms {
            let undo = tx.arms.borrow_mut().pop();
            match undo.expect("there is one more") {
                Undo::First(variable) => forget_write(&variable),
                Undo::Again(again) => again.undo(tx),
            }
        }
        // Each by itself: what they hold may panic when it is dropped.
        let hooks = tx.hooks.borrow_mut().split_off(self.hooks);
        hooks.into_iter().for_each(|hook| tx.leave(hook));
    }
}
