//! `select!` and `select_biased!`.
//!
//! ```text
//!   parse   cases one by one; a body is a block, or an expression and a comma
//!   bind    each channel expression once, in order, to a reference
//!   run     one call that waits, then an `if` for each case: complete it, run its body
//! ```
//!
//! Bodies stand in the caller's own code, in no closure and no loop, so `return`, `break` and `?`
//! mean there what they always mean. A message is made only when its case has won.

/// Waits for the first of several cases that can go on, and takes it.
///
/// The syntax is crossbeam-channel's:
///
/// - `recv(receiver) -> message => body` receives; `message` is a
///   `Result<T,` [`RecvError`](crate::channel::RecvError)`>`, so a disconnected channel is ready,
/// - `send(sender, message) -> result => body` sends; the message is made only when the case has
///   won,
/// - `join(&mut handle) -> result => body` waits for the end of a task,
/// - `atomically(|tx| ..) -> value => body` runs a transaction
///   ([`atomically`](crate::stm::atomically)), which waits where it retries and is committed only if
///   its case wins; it is run, and undone, to see whether it could,
/// - `default => body` is taken when no other case is ready,
/// - `default(duration) => body` is taken when none becomes ready in time.
///
/// Of several ready cases any is taken, by chance, so that none starves; see
/// [`select_biased!`](crate::select_biased!) for the first. The cases that lose leave no trace: no
/// message is lost or doubled. Timers are channels, too: [`after`](crate::channel::after),
/// [`tick`](crate::channel::tick).
///
/// On a rendezvous channel a receiver that meets a `send` case waits until that has made its
/// message, and if the receiver is killed meanwhile the `send` waits for the next one.
///
/// Parks: until a case can go on; with a `default` only for a partner that is there and makes its
/// message. A kill unwinds the task from here, and no case has happened; unless what is killed is a
/// destructor, or a hook, of a transaction that has committed.
///
/// # Panics
///
/// When it would have to park outside of [`run`](crate::run) or where that is forbidden.
///
/// # Examples
///
/// ```
/// use maypole::{channel::{select, unbounded}, spawn};
/// use std::time::Duration;
/// maypole::run(|| {
///     let (apples, apple) = unbounded();
///     let (_pears, pear) = unbounded::<&str>();
///     let mut gardener = spawn(move || apples.send("apple").unwrap());
///     let mut basket = Vec::new();
///     for _ in 0..2 {
///         select! {
///             recv(apple) -> fruit => basket.extend(fruit),
///             recv(pear) -> fruit => basket.extend(fruit),
///             default(Duration::from_secs(1)) => unreachable!(),
///         }
///     }
///     assert_eq!(basket, ["apple"]); // the second time `apple` was disconnected
///     select! {
///         join(&mut gardener) -> result => result.unwrap(),
///         recv(pear) -> _ => unreachable!(),
///     }
/// });
/// ```
#[macro_export]
macro_rules! select {
    ($($cases:tt)*) => {
        $crate::__select!(@parse Fair () () $($cases)*)
    };
}

/// Waits for the first of several cases that can go on; of several the first in the text is taken.
///
/// Otherwise it is [`select!`](crate::select!). An earlier case that is always ready starves the
/// later ones.
///
/// # Examples
///
/// ```
/// use maypole::channel::{select_biased, unbounded};
/// let (urgent, emergencies) = unbounded();
/// let (usual, letters) = unbounded();
/// usual.send("letter").unwrap();
/// urgent.send("fire").unwrap();
/// let first = select_biased! {
///     recv(emergencies) -> message => message,
///     recv(letters) -> message => message,
/// };
/// assert_eq!(first, Ok("fire"));
/// ```
#[macro_export]
macro_rules! select_biased {
    ($($cases:tt)*) => {
        $crate::__select!(@parse Biased () () $($cases)*)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    // ── parse: (cases) (default) what is left ────────────────────────────────────────────────
    (@parse $order:ident () ()) => {
        ::std::compile_error!(
            "a select without a case would wait for ever; write `recv(r) -> message => ..`, \
             `send(s, message) -> result => ..`, `join(&mut handle) -> result => ..`, \
             `atomically(|tx| ..) -> value => ..` or `default => ..`"
        )
    };
    (@parse $order:ident ($($cases:tt)*) $default:tt) => {
        $crate::__select!(@bind $order $default [] (0usize) $($cases)*)
    };
    (@parse $order:ident $cases:tt $default:tt
        recv($receiver:expr $(,)?) -> $result:pat => $($rest:tt)*) => {
        $crate::__select!(@body $order $cases $default [recv ($receiver) ($result)] $($rest)*)
    };
    (@parse $order:ident $cases:tt $default:tt
        send($sender:expr, $message:expr $(,)?) -> $result:pat => $($rest:tt)*) => {
        $crate::__select!(
            @body $order $cases $default [send ($sender, $message) ($result)] $($rest)*
        )
    };
    (@parse $order:ident $cases:tt $default:tt
        join($handle:expr $(,)?) -> $result:pat => $($rest:tt)*) => {
        $crate::__select!(@body $order $cases $default [recv ($handle) ($result)] $($rest)*)
    };
    (@parse $order:ident $cases:tt $default:tt
        atomically($transaction:expr $(,)?) -> $result:pat => $($rest:tt)*) => {
        $crate::__select!(
            @body $order $cases $default [atomically ($transaction) ($result)] $($rest)*
        )
    };
    (@parse $order:ident $cases:tt () default $(())? => $($rest:tt)*) => {
        $crate::__select!(@body $order $cases () [default ()] $($rest)*)
    };
    (@parse $order:ident $cases:tt () default($timeout:expr $(,)?) => $($rest:tt)*) => {
        $crate::__select!(@body $order $cases () [default ($timeout)] $($rest)*)
    };
    (@parse $order:ident $cases:tt ($($default:tt)+) default $($rest:tt)*) => {
        ::std::compile_error!("a select has one `default` at most")
    };
    (@parse $order:ident $cases:tt $default:tt $($rest:tt)+) => {
        ::std::compile_error!(::std::concat!(
            "this is no case of a select: `", ::std::stringify!($($rest)+), "`; a case is \
             `recv(r) -> message => ..`, `send(s, message) -> result => ..`, \
             `join(&mut handle) -> result => ..`, `atomically(|tx| ..) -> value => ..`, \
             `default => ..` or `default(timeout) => ..`, \
             and a comma stands between an expression and the next case"
        ))
    };

    // ── body: a block with or without a comma, an expression with one, the last expression ───
    (@body $order:ident $cases:tt () [default $timeout:tt] $body:block, $($rest:tt)*) => {
        $crate::__select!(@parse $order $cases ($timeout ($body)) $($rest)*)
    };
    (@body $order:ident ($($cases:tt)*) $default:tt [$($head:tt)*] $body:block, $($rest:tt)*) => {
        $crate::__select!(@parse $order ($($cases)* [$($head)* ($body)]) $default $($rest)*)
    };
    (@body $order:ident $cases:tt () [default $timeout:tt] $body:block $($rest:tt)*) => {
        $crate::__select!(@parse $order $cases ($timeout ($body)) $($rest)*)
    };
    (@body $order:ident ($($cases:tt)*) $default:tt [$($head:tt)*] $body:block $($rest:tt)*) => {
        $crate::__select!(@parse $order ($($cases)* [$($head)* ($body)]) $default $($rest)*)
    };
    (@body $order:ident $cases:tt () [default $timeout:tt] $body:expr, $($rest:tt)*) => {
        $crate::__select!(@parse $order $cases ($timeout ($body)) $($rest)*)
    };
    (@body $order:ident ($($cases:tt)*) $default:tt [$($head:tt)*] $body:expr, $($rest:tt)*) => {
        $crate::__select!(@parse $order ($($cases)* [$($head)* ($body)]) $default $($rest)*)
    };
    (@body $order:ident $cases:tt () [default $timeout:tt] $body:expr) => {
        $crate::__select!(@parse $order $cases ($timeout ($body)))
    };
    (@body $order:ident ($($cases:tt)*) $default:tt [$($head:tt)*] $body:expr) => {
        $crate::__select!(@parse $order ($($cases)* [$($head)* ($body)]) $default)
    };
    (@body $order:ident $cases:tt $default:tt $head:tt $($rest:tt)*) => {
        ::std::compile_error!(::std::concat!(
            "a case of a select needs a body, and a comma after it: `",
            ::std::stringify!($($rest)*), "`"
        ))
    };

    // ── bind: [bound cases] (number of the next) cases left ──────────────────────────────────
    (@bind $order:ident $default:tt [$($bound:tt)*] ($index:expr)
        [recv ($receiver:expr) $result:tt $body:tt] $($rest:tt)*) => {
        match &$receiver {
            handle => $crate::__select!(
                @bind $order $default [$($bound)* [recv handle ($index) $result $body]]
                ($index + 1) $($rest)*
            ),
        }
    };
    (@bind $order:ident $default:tt [$($bound:tt)*] ($index:expr)
        [atomically ($transaction:expr) $result:tt $body:tt] $($rest:tt)*) => {
        match &$crate::stm::__private::pending($transaction) {
            handle => $crate::__select!(
                @bind $order $default [$($bound)* [recv handle ($index) $result $body]]
                ($index + 1) $($rest)*
            ),
        }
    };
    (@bind $order:ident $default:tt [$($bound:tt)*] ($index:expr)
        [send ($sender:expr, $message:expr) $result:tt $body:tt] $($rest:tt)*) => {
        match &$sender {
            handle => $crate::__select!(
                @bind $order $default [$($bound)* [send handle ($message) ($index) $result $body]]
                ($index + 1) $($rest)*
            ),
        }
    };
    // A single send is certain to win.
    (@bind $order:ident () [[send $handle:ident ($message:expr) $index:tt ($result:pat) ($body:expr)]]
        $next:tt) => {{
        let $result = $handle.__send($message);
        $body
    }};
    (@bind $order:ident $default:tt $bound:tt $next:tt) => {
        $crate::__select!(@run $order $default $bound)
    };

    // ── run: the operation is moved before a body, which may use its handle up ───────────────
    (@run $order:ident () [$([$kind:ident $handle:ident $($rest:tt)*])+]) => {{
        let operation = $crate::channel::__private::wait(
            [$($handle.__case()),+],
            $crate::channel::__private::Order::$order,
        );
        $crate::__select!(@choose operation $([$kind $handle $($rest)*])+)
    }};
    (@run $order:ident (() ($default:expr)) []) => {
        $default
    };
    (@run $order:ident (($timeout:expr) ($default:expr)) []) => {{
        $crate::time::sleep($timeout);
        $default
    }};
    (@run $order:ident (() ($default:expr)) [$([$kind:ident $handle:ident $($rest:tt)*])+]) => {{
        let operation = $crate::channel::__private::poll(
            [$($handle.__case()),+],
            $crate::channel::__private::Order::$order,
        );
        match operation {
            some @ ::std::option::Option::Some(_) => {
                let operation = ::std::option::Option::unwrap(some);
                $crate::__select!(@choose operation $([$kind $handle $($rest)*])+)
            }
            none @ ::std::option::Option::None => {
                ::std::mem::drop(none);
                $default
            }
        }
    }};
    (@run $order:ident (($timeout:expr) ($default:expr))
        [$([$kind:ident $handle:ident $($rest:tt)*])+]) => {{
        let operation = $crate::channel::__private::wait_timeout(
            [$($handle.__case()),+],
            $crate::channel::__private::Order::$order,
            $timeout,
        );
        match operation {
            some @ ::std::option::Option::Some(_) => {
                let operation = ::std::option::Option::unwrap(some);
                $crate::__select!(@choose operation $([$kind $handle $($rest)*])+)
            }
            none @ ::std::option::Option::None => {
                ::std::mem::drop(none);
                $default
            }
        }
    }};

    // ── choose ───────────────────────────────────────────────────────────────────────────────
    (@choose $operation:ident $([$kind:ident $handle:ident $($rest:tt)*])+) => {
        match $operation.index() {
            $(chosen if chosen == $crate::__select!(@index $kind $($rest)*) => {
                $crate::__select!(@complete $operation $kind $handle $($rest)*)
            })+
            _ => $operation.unknown(),
        }
    };
    (@index recv ($index:expr) $result:tt $body:tt) => {
        $index
    };
    (@index send $message:tt ($index:expr) $result:tt $body:tt) => {
        $index
    };
    (@complete $operation:ident recv $handle:ident $index:tt ($result:pat) ($body:expr)) => {{
        let $result = $handle.__complete($operation);
        $body
    }};
    (@complete $operation:ident send $handle:ident ($message:expr) $index:tt ($result:pat)
        ($body:expr)) => {{
        let $result = $handle.__complete($operation, $message);
        $body
    }};
}
