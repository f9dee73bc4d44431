//! Every example prints what its first lines promise; the bank has a file of its own.
mod program;

use program::run;

/// The lines below a heading, up to the next one.
fn part<'a>(output: &'a str, heading: &str) -> Vec<&'a str> {
    output
        .lines()
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| !line.starts_with('#'))
        .filter(|line| !line.is_empty())
        .collect()
}

/// What the generators example prints for one step.
fn step(name: &str) -> String {
    let ran = run("generators", &[name]);
    assert_eq!(ran.status, Some(0), "{ran:#?}");
    assert_eq!(ran.complaints, "");
    ran.output
}

#[test]
fn every_example_is_compared_with_its_output() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let mut examples: Vec<String> = std::fs::read_dir(directory)
        .expect("there are examples")
        .map(|entry| entry.expect("the directory can be read").path())
        .map(|path| {
            path.file_stem()
                .expect("it has a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    examples.sort();
    assert_eq!(
        examples,
        ["bank", "generators", "hello", "overflow", "ring"],
        "an example without a test of its output: write one, then add it here"
    );
}

#[test]
fn hello_lets_two_tasks_take_turns() {
    let ran = run("hello", &[]);
    assert_eq!(
        ran.output,
        "ping 1\npong 1\nping 2\npong 2\nping 3\npong 3\n"
    );
    assert_eq!((ran.complaints.as_str(), ran.status), ("", Some(0)));
}

#[test]
fn overflow_names_the_task_and_dies_unless_its_stack_is_large_enough() {
    let ran = run("overflow", &["65536"]);
    assert_eq!(ran.status, None, "{}", ran.complaints);
    let told = "maypole: task 'parser' (#2, spawned at examples/overflow.rs:";
    assert!(ran.complaints.starts_with(told), "{}", ran.complaints);
    assert!(ran.complaints.contains("overflowed its 64 KiB stack"));
    let ran = run("overflow", &["8388608"]);
    assert_eq!(ran.output, "parsed 20000 levels deep\n");
    assert_eq!(ran.status, Some(0));
}

#[test]
fn ring_hands_its_token_three_times_around() {
    let ran = run("ring", &["500"]);
    assert!(
        ran.output.contains("500 tasks wait, after "),
        "{}",
        ran.output
    );
    assert!(ran.output.contains("\n1500 passes in "), "{}", ran.output);
    assert_eq!(ran.status, Some(0));
    let ran = run("ring", &["none"]);
    assert!(ran.complaints.contains("A number from 1 on is expected"));
    assert_eq!(ran.status, Some(2));
}

#[test]
fn generators_iterate_receive_and_trap() {
    assert_eq!(
        step("uses"),
        "\
## The three uses of yield
# iteration: yield gives a value out
3
2
1
# receiving: yield takes a value in
looking for generators
found: generators rock
closed
# trap: yield asks whoever runs the generator to do something
asked for the price of the ribbon
asked to sell the ribbon
bought the last
"
    );
}

#[test]
fn step_1_runs_a_task_from_yield_to_yield() {
    assert_eq!(
        step("1"),
        "\
## Step 1: a task is a generator with an id
Task 1 is made, and nothing has run
Part 1
Between its parts anything may happen here
Part 2
"
    );
}

#[test]
fn step_2_takes_turns() {
    let output = step("2");
    let turns = part(&output, "## Step 2: a ready queue, round robin");
    assert_eq!(turns, ["I'm foo", "I'm bar"].repeat(3));
}

#[test]
fn step_3_goes_on_with_those_that_have_not_ended() {
    let output = step("3");
    let mut expected = ["I'm foo", "I'm bar"].repeat(5);
    expected.extend(["I'm foo", "Task 2 terminated"]);
    expected.extend(["I'm foo"; 4]);
    expected.push("Task 1 terminated");
    assert_eq!(part(&output, "## Step 3: tasks that end"), expected);
    assert_eq!(
        part(
            &output,
            "# a task that returns at once does not stop the others"
        ),
        [
            "I'm foo",
            "I return",
            "Task 2 terminated",
            "I'm bar",
            "I'm foo",
            "I'm bar",
            "Task 1 terminated",
            "Task 3 terminated",
        ]
    );
}

#[test]
fn step_4_answers_a_request_for_the_id() {
    let output = step("4");
    let mut expected = ["I'm foo 1", "I'm bar 2"].repeat(5);
    expected.push("Task 1 terminated");
    expected.extend(["I'm bar 2"; 5]);
    expected.push("Task 2 terminated");
    assert_eq!(part(&output, "## Step 4: system calls"), expected);
}

#[test]
fn step_5_kills_a_child_after_five_turns() {
    let output = step("5");
    let mut expected = vec!["I'm foo 2"; 5];
    expected.extend(["Task 2 terminated", "main done", "Task 1 terminated"]);
    let heading = "## Step 5: tasks that start and kill tasks";
    assert_eq!(part(&output, heading), expected);
    assert_eq!(
        part(&output, "# killing a task that does not exist"),
        ["killed: false", "Task 1 terminated"]
    );
}

#[test]
fn step_6_waits_for_a_child_in_both_orders() {
    let output = step("6");
    let the_end = ["Task 2 terminated", "Child done", "Task 1 terminated"];

    let mut child_first = vec!["I'm foo", "Waiting for child"];
    child_first.extend(["I'm foo"; 4]);
    child_first.extend(the_end);
    assert_eq!(part(&output, "# the child first"), child_first);

    let mut parent_first = vec!["Waiting for child"];
    parent_first.extend(["I'm foo"; 5]);
    parent_first.extend(the_end);
    assert_eq!(part(&output, "# the parent first"), parent_first);

    assert_eq!(
        part(&output, "# waiting for a task that does not exist"),
        ["no such task", "Task 1 terminated"]
    );
}

#[test]
fn step_7_is_named_as_left_out() {
    assert_eq!(
        step("7"),
        "## Step 7: waiting for I/O\nleft out: it needs sockets\n"
    );
}

#[test]
fn step_8_yields_from_inside_of_calls() {
    assert_eq!(
        step("8"),
        "\
## Step 8: calls between generators
adding 0 and 1
another task meanwhile
adding 1 and 2
another task meanwhile
adding 3 and 3
another task meanwhile
a plain call: 6
adding 2 and 2
Task 2 terminated
yield_from: 4
Task 1 terminated
"
    );
}

#[test]
fn generators_print_all_steps_in_order_when_none_is_named() {
    let names = ["uses", "1", "2", "3", "4", "5", "6", "7", "8"];
    let together = names.map(step).join("\n");
    assert_eq!(run("generators", &[]).output, together);
}

#[test]
fn generators_refuse_a_step_that_does_not_exist() {
    let ran = run("generators", &["9"]);
    assert_eq!((ran.output.as_str(), ran.status), ("", Some(2)));
    assert!(ran.complaints.starts_with("usage: "), "{ran:#?}");
}
