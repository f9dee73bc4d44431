//! Values that each task has its own of, as each OS thread has of a `thread_local!`.
use super::packet::drop_quietly;
use crate::scheduler;
use crate::scheduler::task::About;
use std::any::Any;
use std::panic::Location;
use std::rc::Rc;

/// Declares values that each task has its own of, with std's `thread_local!` syntax.
///
/// Each is made at its first use in a task and dropped when the task ends, on the task's own
/// stack. Its initialiser may park.
///
/// # Examples
///
/// ```
/// use std::cell::RefCell;
/// maypole::task_local! {
///     static USER: RefCell<String> = RefCell::new("nobody".to_string());
/// }
/// maypole::run(|| {
///     let ann = maypole::spawn(|| {
///         USER.with(|user| *user.borrow_mut() = "ann".to_string());
///         maypole::yield_now();
///         USER.with(|user| user.borrow().clone())
///     });
///     let other = maypole::spawn(|| USER.with(|user| user.borrow().clone()));
///     assert_eq!(ann.join().unwrap(), "ann");
///     assert_eq!(other.join().unwrap(), "nobody");
/// });
/// ```
#[macro_export]
macro_rules! task_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $value:expr; $($rest:tt)*) => {
        $crate::task_local!($(#[$attribute])* $visibility static $name: $type = $value);
        $crate::task_local!($($rest)*);
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $value:expr) => {
        $(#[$attribute])*
        $visibility static $name: $crate::task::LocalKey<$type> = {
            fn initialise() -> $type {
                $value
            }
            $crate::task::LocalKey::new(initialise)
        };
    };
}

/// A key made by [`task_local!`](crate::task_local).
///
/// The key is a static, and so `Send` and `Sync`; the values never leave their task.
///
/// # Examples
///
/// ```
/// use maypole::task::LocalKey;
/// use std::cell::Cell;
/// maypole::task_local! {
///     static COUNT: Cell<u32> = Cell::new(0);
/// }
/// fn count(key: &'static LocalKey<Cell<u32>>) -> u32 {
///     key.with(|count| count.replace(count.get() + 1))
/// }
/// maypole::run(|| {
///     assert_eq!((count(&COUNT), count(&COUNT)), (0, 1));
///     assert_eq!(maypole::spawn(|| count(&COUNT)).join().unwrap(), 0);
/// });
/// ```
pub struct LocalKey<T: 'static> {
    initialise: fn() -> T,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn new(initialise: fn() -> T) -> Self {
        LocalKey { initialise }
    }

    /// Shows the running task's value to `look`, made first if the task has none yet.
    ///
    /// Parks: no more than the initialiser and `look` do.
    ///
    /// # Panics
    ///
    /// Outside of a task, and in a destructor that runs at the end of the task when the value has
    /// been dropped already.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::task_local! {
    ///     static NAME: String = "nobody".to_string();
    /// }
    /// maypole::run(|| assert_eq!(NAME.with(|name| name.len()), 6));
    /// ```
    #[track_caller]
    pub fn with<R>(&'static self, look: impl FnOnce(&T) -> R) -> R {
        let Some((_, body)) = scheduler::current() else {
            scheduler::outside_of_tasks(format_args!("a task local at {}", Location::caller()));
        };
        let key = std::ptr::from_ref(self).addr();
        let locals = &body.about().more().locals;
        let find = || {
            let locals = locals.borrow();
            let (_, value) = locals.iter().find(|(other, _)| *other == key)?;
            Some(value.clone())
        };
        let place = Location::caller();
        let value = find().unwrap_or_else(|| {
            let value: Rc<dyn Any> = Rc::new((self.initialise)());
            // The initialiser may have used the key itself: the first value stays.
            find().unwrap_or_else(|| {
                locals.borrow_mut().push((key, value.clone()));
                value
            })
        });
        if value.is::<Gone>() {
            panic!("maypole: a task local at {place} is gone, its task is ending");
        }
        look(value.downcast_ref().expect("a key has values of one type"))
    }
}

/// Stands for a value that was dropped at the end of its task: it is not made a second time, so
/// that the end comes to an end.
struct Gone;

/// Drops the values of a task that has ended, first made first. A destructor may use the values
/// that are left and make others, which are dropped too.
pub(super) fn drop_all(about: &About) {
    let next = || {
        let mut locals = about.more_if_any()?.locals.borrow_mut();
        let (_, value) = locals.iter_mut().find(|(_, value)| !value.is::<Gone>())?;
        Some(std::mem::replace(value, Rc::new(Gone)))
    };
    while let Some(value) = next() {
        drop_quietly(value);
    }
}
