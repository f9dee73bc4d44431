//! The two forms of a workload: tasks are closures and calls block, or tasks are futures and calls are awaited.

macro_rules! closure {
    ($body:block) => {
        move || $body
    };
}

macro_rules! future {
    ($body:block) => {
        async move { $body }
    };
}

macro_rules! blocking {
    ($call:expr) => {
        $call
    };
}

macro_rules! awaited {
    ($call:expr) => {
        $call.await
    };
}
