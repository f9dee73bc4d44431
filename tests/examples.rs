//! Every example prints what its first lines promise; the bank has a file of its own, and so have the
//! parts of `beautiful_concurrency` and of `santa`.
mod program;

use program::{Ran, run, run_with};

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
        // Packages of their own have tests of their own.
        .filter(|path| !path.join("Cargo.toml").exists())
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
        [
            "bank",
            "beautiful_concurrency",
            "blaster",
            "chat",
            "cores",
            "crawl",
            "echo",
            "find_the_race",
            "frames",
            "generators",
            "hello",
            "http",
            "killable",
            "overflow",
            "philosophers",
            "ping_pong",
            "pipeline",
            "readers_writers",
            "ring",
            "santa",
            "sieve",
            "sleeping_barber",
        ],
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
fn killable_shows_pauses_and_kills_a_computation() {
    let ran = run("killable", &[]);
    assert_eq!((ran.complaints.as_str(), ran.status), ("", Some(0)));
    assert_eq!(
        ran.output,
        "\
so far: 314159265358979323846264338327
paused: Paused, 0 more
resumed: 5 more
the body in the thread closes its books
killed: that is enough
as a generator: 31415926535897932384
in a task: 31415926535897932384
"
    );
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
fn step_7_serves_a_client_while_another_is_silent_and_stays_alive() {
    assert_eq!(
        part(&step("7"), "## Step 7: waiting for I/O"),
        [
            "Server starting",
            "I'm alive!",
            "I'm alive!",
            "I'm alive!",
            "Connection 1",
            "Connection 2",
            "Task 1 terminated",
            "bob got: hello from bob",
            "Task 4 terminated",
            "Task 6 terminated",
            "ann got: hello from ann",
            "Task 3 terminated",
            "I'm alive!",
            "Task 2 terminated",
            "Task 5 terminated",
        ]
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

// ── channels ─────────────────────────────────────────────────────────────────────────────────

/// What an example prints that goes well and has nothing to complain of.
fn printed(example: &str, arguments: &[&str]) -> String {
    let ran = run(example, arguments);
    assert_eq!((ran.complaints.as_str(), ran.status), ("", Some(0)));
    ran.output
}

#[track_caller]
fn assert_refused(example: &str, argument: &str, expected: &str) {
    let ran = run(example, &[argument]);
    assert_eq!((ran.output.as_str(), ran.status), ("", Some(2)), "{ran:#?}");
    assert_eq!(ran.complaints.trim_end(), expected);
}

#[test]
fn ping_pong_shows_the_three_preferences() {
    let output = printed("ping_pong", &[]);
    let order = |heading| part(&output, heading).join(" ");
    assert_eq!(
        order("# a ball between two tasks"),
        "ping 1 pong 1 ping 2 pong 2 ping 3 pong 3"
    );
    assert_eq!(order("# the receiver goes on"), "tx0 rx0 tx1 rx1 tx2 rx2");
    assert_eq!(order("# the sender goes on"), "tx0 tx1 rx0 tx2 rx1 rx2");
    assert_eq!(
        order("# whoever came second goes on"),
        "tx0 tx1 rx0 rx1 tx2 rx2"
    );
}

#[test]
fn sieve_prints_primes_and_all_its_tasks_end() {
    assert_eq!(
        printed("sieve", &[]),
        "2\n3\n5\n7\n11\n13\n17\n19\n23\n29\ntasks ended: 10, numbers sent: 161\n"
    );
    let output = printed("sieve", &["100"]);
    assert!(output.contains("\n541\ntasks ended: 100, "), "{output}");
    let expected = "sieve: how many primes? A number from 1 on is expected";
    assert_refused("sieve", "0", expected);
    assert_refused("sieve", "all", expected);
}

#[test]
fn pipeline_holds_its_reader_back_and_tells_of_silence() {
    assert_eq!(
        printed("pipeline", &[]),
        "   0 ms  reader:  line 1
   0 ms  reader:  line 2
   0 ms  reader:  line 3
   0 ms  reader:  line 4
  35 ms  printer: nothing for 35 ms
  40 ms  ann:     line 1 is counted
  40 ms  bob:     line 2 is counted
  40 ms  printer: line 1 has 4 words
  40 ms  printer: line 2 has 4 words
  40 ms  reader:  line 5
  40 ms  reader:  line 6
  70 ms  bob:     line 4 is counted
  70 ms  printer: line 4 has 3 words
  90 ms  bob:     line 5 is counted
  90 ms  printer: line 5 has 2 words
 125 ms  printer: nothing for 35 ms
 130 ms  bob:     line 6 is counted
 130 ms  printer: line 6 has 4 words
 165 ms  printer: nothing for 35 ms
 180 ms  ann:     line 3 is counted
 180 ms  printer: line 3 has 14 words
 180 ms  printer: that was the last line
 180 ms  printer: all have stopped
"
    );
}

#[test]
fn pipeline_that_closes_early_stops_every_stage() {
    assert_eq!(
        printed("pipeline", &["15"]),
        "   0 ms  reader:  line 1
   0 ms  reader:  line 2
   0 ms  reader:  line 3
   0 ms  reader:  line 4
  15 ms  printer: closing time
  40 ms  ann:     line 1 is counted
  40 ms  ann:     nobody wants it
  40 ms  bob:     line 2 is counted
  40 ms  bob:     nobody wants it
  40 ms  reader:  nobody wants it
  40 ms  printer: all have stopped
"
    );
    let expected = "pipeline: close after how many milliseconds? A number is expected";
    assert_refused("pipeline", "soon", expected);
}

// ── locks ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn sleeping_barber_turns_away_who_finds_no_chair() {
    assert_eq!(
        printed("sleeping_barber", &[]),
        " 9:00  the barber falls asleep
 9:05  Ada takes a chair
 9:05  Ada is called
 9:10  Bob takes a chair
 9:15  Cleo takes a chair
 9:20  Dan finds no chair and goes away
 9:25  Ada leaves with a new cut
 9:25  Bob is called
 9:35  Eve takes a chair
 9:40  Fay finds no chair and goes away
 9:45  Bob leaves with a new cut
 9:45  Cleo is called
10:05  Cleo leaves with a new cut
10:05  Eve is called
10:25  Eve leaves with a new cut
10:25  the barber falls asleep
11:00  Gus takes a chair
11:00  Gus is called
11:20  Gus leaves with a new cut
11:20  the barber falls asleep
5 were served, 2 turned away
"
    );
    for (chairs, end) in [
        ("0", "\n0 were served, 7 turned away\n"),
        ("5", "\n7 were served, 0 turned away\n"),
    ] {
        let output = printed("sleeping_barber", &[chairs]);
        assert!(output.ends_with(end), "{output}");
    }
    let expected = "sleeping_barber: how many chairs? A number is expected";
    assert_refused("sleeping_barber", "few", expected);
}

#[test]
fn readers_share_and_do_not_overtake_writers() {
    assert_eq!(
        printed("readers_writers", &[]),
        "\
rrrrrr                         reads edition 1
  rrrrrr                       reads edition 1
   .....WWWW                   writes edition 2
    ........rrrrr              reads edition 2
     .......rrr                reads edition 2
      ...........WWW           writes edition 3
       .............WWW        writes edition 4
        ...............rrrr    reads edition 4
"
    );
}

#[test]
fn philosophers_who_take_the_left_fork_first_end_in_a_deadlock_that_names_all_five() {
    let ran = run("philosophers", &[]);
    assert_eq!(ran.status, Some(1), "{ran:#?}");
    let cycle = ran
        .complaints
        .lines()
        .find(|line| line.starts_with("  cycle"));
    let cycle = cycle.unwrap_or_else(|| panic!("no circle in {ran:#?}"));
    for seat in 0..5 {
        let holds = format!("Mutex 'fork {seat}' ─held by─> phil-{seat}");
        assert!(cycle.contains(&holds), "{holds} is not in {cycle}");
    }
    assert!(ran.output.starts_with("meals: "), "{ran:#?}");
    assert!(!ran.output.contains("100"), "{ran:#?}");
}

#[test]
fn ordered_philosophers_eat_evenly() {
    let output = printed("philosophers", &["--ordered"]);
    assert_eq!(output, "meals: 100 100 100 100 100\n");
    let usage = "usage: philosophers [--ordered] [--explore]";
    assert_refused("philosophers", "--left", usage);
}

// ── every schedule ───────────────────────────────────────────────────────────────────────────

/// The trail in a report, as the variable that is to be set.
fn replay_of(ran: &Ran) -> (&'static str, &str) {
    let trail = ran.output.split("MAYPOLE_REPLAY=").nth(1);
    let trail = trail.and_then(|rest| rest.split_whitespace().next());
    let trail = trail.unwrap_or_else(|| panic!("no trail in {ran:#?}"));
    ("MAYPOLE_REPLAY", trail)
}

/// The table of steps in a text.
fn steps(text: &str) -> Vec<&str> {
    text.lines()
        .skip_while(|line| !line.starts_with("  step  task"))
        .take_while(|line| !line.is_empty() && !line.starts_with("  again:"))
        .collect()
}

#[test]
fn philosophers_find_the_deadlock_by_exploring_and_replay_it() {
    let found = run("philosophers", &["--explore"]);
    assert_eq!(found.status, Some(1), "{found:#?}");
    let first = found.output.lines().next().expect("there is output");
    let nth = first.strip_prefix("deadlock found in schedule ");
    assert!(nth.is_some_and(|nth| nth.parse::<u32>().is_ok()), "{first}");
    assert!(steps(&found.output).len() > 5, "{found:#?}");
    assert!(found.output.contains("forced switch: phil-0 could have"));

    let again = || run_with(&[replay_of(&found)], "philosophers", &["--explore"]);
    let (once, twice) = (again(), again());
    assert_eq!(once.status, Some(1), "{once:#?}");
    assert_eq!(steps(&once.output), steps(&found.output));
    assert_eq!(once.output, twice.output);
    assert!(!once.output.contains("found in schedule"), "{once:#?}");
}

#[test]
fn a_trail_of_the_philosophers_is_none_of_ordered_ones() {
    let found = run("philosophers", &["--explore"]);
    let order = [replay_of(&found)];
    let ran = run_with(&order, "philosophers", &["--explore", "--ordered"]);
    assert_eq!(ran.status, Some(1), "{ran:#?}");
    assert!(ran.output.contains("replay diverged at step "), "{ran:#?}");
    assert!(ran.output.contains(", now phil-2 "), "{ran:#?}");
}

#[test]
fn ordered_philosophers_hold_under_every_schedule() {
    let output = printed("philosophers", &["--ordered", "--explore"]);
    let proof = output.strip_prefix("maypole explore: ok: all ");
    let proof = proof.unwrap_or_else(|| panic!("{output}"));
    assert!(proof.contains(" schedules hold ("), "{output}");
}

#[test]
fn find_the_race_finds_a_lost_update_and_proves_its_correction() {
    let output = printed("find_the_race", &[]);
    let a_run = part(&output, "# a run");
    assert_eq!(a_run, ["100, and 20 from ann, and 50 from bob: 170"]);

    let broken = part(&output, "# every order of turns").join("\n");
    assert!(broken.contains("money is lost"), "{broken}");
    assert!(broken.contains("it needs 1 forced switch"), "{broken}");
    let steps = steps(&broken);
    let of = |step: &str| steps.iter().position(|line| line.contains(step));
    let (reads, switch) = (of("  ann   get "), of("forced switch: ann could"));
    let (other, overwrites) = (of("  bob   get "), of("  ann   send "));
    assert!(reads.is_some() && reads < switch, "{broken}");
    assert!(switch < other && other < overwrites, "{broken}");

    let corrected = part(&output, "# every order of turns, corrected");
    let [proof] = corrected[..] else {
        panic!("{corrected:#?}")
    };
    assert!(proof.starts_with("maypole explore: ok: all "), "{proof}");
    assert!(proof.contains(" schedules hold ("), "{proof}");
}

#[test]
fn find_the_race_replays_what_it_found_in_its_first_run() {
    let found = run("find_the_race", &[]);
    let ran = run_with(&[replay_of(&found)], "find_the_race", &[]);
    assert_eq!((ran.output.as_str(), ran.status), ("# a run\n", Some(101)));
    assert!(ran.complaints.contains("money is lost"), "{ran:#?}");
    assert_eq!(steps(&ran.complaints), steps(&found.output));
}

// ── sockets ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn cores_share_the_connections_at_one_address() {
    let output = printed("cores", &["--check", "--cores", "3"]);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 5, "{output}");
    assert_eq!(lines[0], "200 clients: 2000 messages came back");
    assert_eq!(lines[4], "all cores: 200 connections, 2000 messages");
    let served: Vec<u32> = (0..3)
        .map(|core| {
            let counts = lines[core + 1].strip_prefix(&format!("core {core}: "));
            let (connections, messages) = counts
                .and_then(|counts| counts.strip_suffix(" messages"))
                .and_then(|counts| counts.split_once(" connections, "))
                .unwrap_or_else(|| panic!("{output}"));
            let connections: u32 = connections.parse().expect("it is a number");
            assert_eq!(messages, (connections * 10).to_string());
            connections
        })
        .collect();
    assert_eq!(served.iter().sum::<u32>(), 200);
    // The system spreads 200 connections over three listeners by chance.
    assert!(
        served.iter().all(|connections| *connections > 0),
        "{output}"
    );
    for wrong in [
        &["--cores", "0"][..],
        &["--for", "-1"],
        &["--for"],
        &["fast"],
    ] {
        assert_eq!(run("cores", wrong).status, Some(2), "{wrong:?}");
    }
}

#[test]
fn frames_pass_while_the_tasks_of_the_game_come_on() {
    let ran = run("frames", &["--frames", "30"]);
    assert_eq!((ran.complaints.as_str(), ran.status), ("", Some(0)));
    assert!(ran.output.starts_with("frame   30: "), "{}", ran.output);
    let number = |name| ran.value(name).parse::<u32>().expect("it is a number");
    // Half a second has ten beats of 50 ms; a busy machine may leave some out.
    assert!(number("beats of 50 ms") >= 1);
    assert!(number("primes found") >= 10);
    assert_eq!(number("events received"), 3);
    let end = "the task that waits for events is ended\nthe scheduler is gone\n";
    assert!(ran.output.ends_with(end), "{}", ran.output);
    for wrong in [&["--frames", "0"][..], &["--frames"], &["fast"]] {
        let ran = run("frames", wrong);
        assert_eq!(ran.status, Some(2));
        assert!(ran.complaints.contains("a number from 1 on is expected"));
    }
}

#[test]
fn blaster_has_every_echo_from_both_servers() {
    let output = printed("blaster", &["--connections", "10", "--messages", "4"]);
    let lines: Vec<&str> = output.lines().skip(1).collect();
    assert_eq!(lines.len(), 2, "{output}");
    assert!(
        lines[0].starts_with("a task per client: 120 echoes in "),
        "{output}"
    );
    assert!(
        lines[1].starts_with("an OS thread per client: 120 echoes in "),
        "{output}"
    );
    let wrong = run("blaster", &["--messages", "many"]);
    assert_eq!(wrong.status, Some(2), "{wrong:#?}");
}

#[test]
fn echo_gives_everything_back() {
    assert_eq!(
        printed("echo", &["--check"]),
        "100 clients got back what they had sent, 550000 bytes\n"
    );
}

#[test]
fn chat_goes_on_without_the_one_who_does_not_listen() {
    assert_eq!(
        printed("chat", &["--check"]),
        "\
* ann has joined
* bob has joined
* cleo has joined
* bob has left
* dora has joined
* dora has left: too slow
* the room closes
* ann has left
* cleo has left
2 tasks killed: end of the run
"
    );
}

#[test]
fn http_answers_right_and_wrong_requests() {
    assert_eq!(
        printed("http", &["--check"]),
        "\
GET / HTTP/1.1|Host: me
    200 OK
HEAD / HTTP/1.1|Host: me
    200 OK
GET /hello.rs HTTP/1.0
    200 OK, Connection: close
GET /hello.rs?query HTTP/1.1|Host: me|Range: bytes=4-12
    206 Partial Content, Content-Range: bytes 4-12/455
GET /hello.rs HTTP/1.1|Host: me|Range: bytes=1000000-
    416 Range Not Satisfiable, Content-Range: bytes */455
GET http://me/hello%2Ers HTTP/1.1|Host: me|If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT
    304 Not Modified
GET /bank HTTP/1.1|Host: me
    301 Moved Permanently, Location: /bank/
GET /bank/ HTTP/1.1|Host: me
    200 OK
GET /none HTTP/1.1|Host: me
    404 Not Found
GET /../Cargo.toml HTTP/1.1|Host: me
    403 Forbidden
GET /bank/%2e%2e/%2e%2e/Cargo.toml HTTP/1.1|Host: me
    403 Forbidden
GET /bank%2F..%2F..%2FCargo.toml HTTP/1.1|Host: me
    400 Bad Request
GET / HTTP/1.1
    400 Bad Request, Connection: close
GET / HTTP/2.0|Host: me
    505 HTTP Version Not Supported, Connection: close
POST / HTTP/1.1|Host: me|Content-Length: 3||abc
    405 Method Not Allowed, Allow: GET, HEAD, Connection: close
BREW / HTTP/1.1|Host: me
    501 Not Implemented, Connection: close
hello?
    400 Bad Request, Connection: close
three requests at once, on one connection
    200 OK
    200 OK
    200 OK
a request that comes byte by byte
    200 OK
half a request, and then silence
    408 Request Timeout, Connection: close
    and the connection is closed
connections: 18, requests: 22
"
    );
    assert_refused(
        "http",
        "--serve",
        "usage: http [FOLDER [ADDRESS]] | --check",
    );
}

#[test]
fn crawl_finds_every_page_however_many_requests_there_are_at_once() {
    let (eight, one) = (printed("crawl", &[]), printed("crawl", &["1"]));
    for (output, at_once) in [(&eight, "8"), (&one, "1")] {
        let pages: Vec<&str> = output.lines().take(31).collect();
        for (number, line) in pages.iter().enumerate() {
            assert!(line.starts_with(&format!("{number:>4}  ")), "{output}");
        }
        assert!(pages[4].starts_with("   4  3 links, after "), "{output}");
        assert!(pages[17].starts_with("  17  3 links, after "), "{output}");
        assert_eq!(
            pages[23],
            "  23  given up: the timeout has elapsed, after 3 tries"
        );
        assert_eq!(pages[30], "  30  missing");
        let end = output.lines().nth(31);
        assert_eq!(end, Some("pages: 29, dead links: 1, given up: 1"));
        let at_once = format!(", at most at once: {at_once}");
        assert!(output.contains(&at_once), "{output}");
    }
    let expected = "crawl: how many requests at once? A number from 1 on is expected";
    assert_refused("crawl", "0", expected);
}

// ── transactions ─────────────────────────────────────────────────────────────────────────────

#[test]
fn beautiful_concurrency_has_the_examples_of_the_chapter_in_its_order() {
    let output = printed("beautiful_concurrency", &[]);
    let headings: Vec<&str> = output
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    assert_eq!(
        headings,
        [
            "1 hEchoLine: an action",
            "2 incRef: a variable",
            "3 forkIO: two tasks",
            "4 incRef from two tasks: a lost update",
            "5 transfer: a transaction",
            "6 incT, incT1, incT2: composition",
            "7 launchMissiles: effects in a transaction",
            "8 limitedWithdraw with retry",
            "9 limitedWithdraw with check",
            "10 delayDeposit against limitedWithdraw",
            "11 limitedWithdraw2 with orElse: choice",
            "12 Gate: passGate, operateGate",
            "13 Group: joinGroup, awaitGroup",
            "14 santa with orElse",
            "15 santa with choose",
        ]
    );
    assert_eq!(part(&output, "## 5 transfer: a transaction"), ["150, 150"]);
}

#[test]
fn santa_delivers_toys_and_meets_with_elves_and_is_checked() {
    assert_eq!(
        printed("santa", &["--rounds", "2"]),
        "\
----------
Ho! Ho! Ho! let's deliver toys
Reindeer 1 delivering toys
Reindeer 2 delivering toys
Reindeer 3 delivering toys
Reindeer 4 delivering toys
Reindeer 5 delivering toys
Reindeer 6 delivering toys
Reindeer 7 delivering toys
Reindeer 8 delivering toys
Reindeer 9 delivering toys
----------
Ho! Ho! Ho! let's meet in my study
Elf 1 meeting in the study
Elf 2 meeting in the study
Elf 3 meeting in the study
checked: 2 rounds, 1 with the reindeer and 1 with elves; before 1 of them both groups were ready, \
         and the reindeer went first
"
    );
    let all = printed("santa", &["--style", "all"]);
    for style in ["events", "channels", "stm"] {
        let alone = printed("santa", &["--style", style]);
        let lines = alone.lines().filter(|line| !line.is_empty());
        let lines: Vec<&str> = lines.collect();
        assert_eq!(part(&all, &format!("## {style}")), lines);
        let last = lines.last().expect("there are lines");
        assert!(last.starts_with("checked: 12 rounds, "), "{last}");
        assert_ne!(printed("santa", &["--style", style, "--seed", "2"]), alone);
    }
    assert_eq!(printed("santa", &[]), printed("santa", &["--style", "stm"]));
}

#[test]
fn santa_in_a_small_world_keeps_the_rules_in_every_order_of_turns() {
    let output = printed("santa", &["--explore"]);
    let proof = output.strip_prefix("maypole explore: ok: all ");
    let proof = proof.unwrap_or_else(|| panic!("{output}"));
    assert!(
        proof.contains(" schedules without a forced switch hold ("),
        "{output}"
    );
}

#[test]
fn santas_helpers_who_think_before_they_join_are_found_out() {
    let broken = ["--style", "events", "--broken"];
    let ran = run("santa", &broken);
    assert_eq!(ran.status, Some(1), "{ran:#?}");
    assert_eq!(
        ran.complaints,
        "violated in line 5, \"Elf 0 meets in study\": the block has its 3 lines already\n"
    );
    assert!(!ran.output.contains("checked: "), "{ran:#?}");

    let found = run("santa", &[&broken[..], &["--explore"]].concat());
    assert_eq!(found.status, Some(1), "{found:#?}");
    assert!(
        found.output.contains("the block has its 1 lines already"),
        "{found:#?}"
    );
    assert!(steps(&found.output).len() > 10, "{found:#?}");
}

#[test]
fn santa_refuses_what_it_does_not_know() {
    for (arguments, complaint) in [
        (&["--style", "locks"][..], "unknown style locks"),
        (&["--style"], "--style expects a value"),
        (
            &["--rounds", "many"],
            "--rounds expects a number, found \"many\"",
        ),
        (&["--broken"], "--broken goes with --style events"),
        (&["--naughty"], "unknown option --naughty"),
    ] {
        let ran = run("santa", arguments);
        assert_eq!((ran.output.as_str(), ran.status), ("", Some(2)), "{ran:#?}");
        let expected = format!("santa: {complaint}\n\nusage: santa ");
        assert!(ran.complaints.starts_with(&expected), "{ran:#?}");
    }
}
