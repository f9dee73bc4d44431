//! What a workload asks of a peer that runs a program under every schedule.

/// A peer that explores: its own tasks and its own lock, as a program under test uses them.
pub trait Explored: 'static {
    /// The contender's name in the results.
    const NAME: &'static str;

    type Handle;
    /// A handle to a number under a lock, which all clones share.
    type Number: Clone + Send + 'static;

    /// Runs `program` under every schedule, or under `most` of them.
    fn explore(most: usize, program: impl Fn() + Send + Sync + 'static);
    fn spawn(task: impl FnOnce() + Send + 'static) -> Self::Handle;
    fn join(handle: Self::Handle);
    fn number() -> Self::Number;
    /// Locks, adds one, unlocks.
    fn add_one(number: &Self::Number);
    fn read(number: &Self::Number) -> u64;
}
