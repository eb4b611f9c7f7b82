//! The command line as people meet it: help, exit status, and what is said about bad input.
//! Every message must name what is wrong, where, and what to do.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

fn muster(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    command.output().expect("the binary starts")
}

fn out(output: &Output) -> &str {
    str::from_utf8(&output.stdout).expect("answers are UTF-8")
}

fn err(output: &Output) -> &str {
    str::from_utf8(&output.stderr).expect("messages are UTF-8")
}

/// A file of this content below the build folder; `name` is unique to its test.
fn file(name: &str, content: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).expect("the build folder can be written to");
    path
}

/// The command must fail with `status` and say exactly this on stderr, nothing on stdout.
fn refused(arguments: &[&str], status: i32, expected: &str) {
    let output = muster(arguments);
    assert_eq!(err(&output), format!("error: {expected}\n"), "muster {arguments:?}");
    assert_eq!(output.status.code(), Some(status), "muster {arguments:?}");
    assert_eq!(out(&output), "", "muster {arguments:?}: failures answer nothing");
}

#[test]
fn help_lists_every_command_and_each_command_has_help() {
    let output = muster(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let commands: Vec<&str> = out(&output)
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for command in ["run", "playground", "simulate", "replay", "explain", "crds", "config"] {
        assert!(commands.contains(&command), "{command} is not among {commands:?}");
    }
    for command in commands {
        let output = muster(&["help", command]);
        assert_eq!(output.status.code(), Some(0), "muster help {command}");
        assert!(out(&output).contains("Usage:"), "muster help {command}");
    }
}

#[test]
fn no_command_and_unknown_commands_are_wrong_usage() {
    let nothing = muster(&[]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(err(&nothing).contains("Usage: muster <COMMAND>"));
    let unknown = muster(&["simulat"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).starts_with("error: unrecognized subcommand 'simulat'"));
}

#[test]
fn the_printed_configuration_is_the_shipped_file_and_valid() {
    let output = muster(&["config"]);
    let shipped =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/config.yaml"));
    assert_eq!(out(&output), shipped.expect("deploy/config.yaml exists"));
    let checked = muster(&["config", "--check", "deploy/config.yaml"]);
    assert_eq!((out(&checked), checked.status.code()), ("deploy/config.yaml: valid\n", Some(0)));
}

#[test]
fn a_wrong_configuration_says_where_and_what_to_do() {
    let typo = file("typo.yaml", "backlog:\n  backoffSecondMax: 3\n");
    let expected = format!(
        "{}: line 2, column 3: unknown field \"backoffSecondMax\": did you mean \"backoffSecondsMax\"? \
         Valid here: backoffSecondsInitial, backoffSecondsMax, overtakingSecondsMax",
        typo.display()
    );
    refused(&["config", "--check", &typo.to_string_lossy()], 2, &expected);
    let missing = "no/such/file.yaml";
    let expected = format!("cannot read {missing}: No such file or directory (os error 2)");
    refused(&["config", "--check", missing], 2, &expected);
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("binary.yaml");
    fs::write(&binary, b"kind: \xff\n").expect("the build folder can be written to");
    let expected = format!("{}: byte 6 is not UTF-8; save the file as UTF-8", binary.display());
    refused(&["config", "--check", &binary.to_string_lossy()], 2, &expected);
}

#[test]
fn the_printed_definitions_are_the_shipped_files() {
    let output = muster(&["crds"]);
    assert_eq!(output.status.code(), Some(0));
    let mut shipped = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/crds");
    for entry in fs::read_dir(folder).expect("deploy/crds exists") {
        let path = entry.expect("an entry can be read").path();
        shipped.push(fs::read_to_string(path).expect("a definition can be read"));
    }
    shipped.sort();
    let mut printed: Vec<String> = out(&output).split("---\n").map(str::to_owned).collect();
    printed.sort();
    assert_eq!(printed, shipped);
    assert!(printed[0].contains("name: podgroups.scheduling.x-k8s.io\n"));
}

const REPLAY: [&str; 5] = [
    "replay",
    "--cluster",
    "testdata/clusters/philly-2x8.yaml",
    "--trace",
    "philly:testdata/traces/philly.csv",
];

/// `muster replay` with the trace `trace` and further arguments must be refused with this message.
fn replay_refused(trace: &str, further: &[&str], expected: &str) {
    let mut arguments = REPLAY.to_vec();
    arguments[4] = trace;
    arguments.extend(further);
    refused(&arguments, 2, expected);
}

#[test]
fn a_replay_answers_json_and_nothing_else() {
    let mut arguments = REPLAY.to_vec();
    arguments.extend(["-o", "json", "--policy", "muster", "--policy", "skipping"]);
    let output = muster(&arguments);
    assert_eq!(output.status.code(), Some(0));
    let answer: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("stdout is one JSON object");
    assert_eq!(
        (&answer["apiVersion"], &answer["kind"]),
        (&"muster.dev/v1alpha1".into(), &"ReplayResult".into())
    );
    assert_eq!((&answer["trace"]["jobs"], &answer["cluster"]["gpus"]), (&152.into(), &16.into()));
    let policies = answer["policies"].as_array().expect("a list of policies");
    let names: Vec<&serde_json::Value> = policies.iter().map(|policy| &policy["policy"]).collect();
    assert_eq!(names, ["muster", "skipping"]);
    for policy in policies {
        assert_eq!((&policy["binds"], &policy["unplaced"]), (&154.into(), &serde_json::json!([])));
        assert_eq!(
            (&policy["classes"][0]["jobs"], &policy["classes"][0]["count"]),
            (&"all".into(), &152.into())
        );
        assert!(policy["classes"][0]["waitSeconds"]["p99"].is_number());
    }
}

#[test]
fn a_window_chooses_jobs_by_their_submission() {
    let mut arguments = REPLAY.to_vec();
    arguments.extend(["--from", "2017-10-01T09:00:00Z", "--to", "2017-10-01T10:00:00Z"]);
    let output = muster(&arguments);
    let expected = fs::read_to_string("testdata/traces/philly.csv").expect("the trace exists");
    let count = expected.lines().filter(|line| line.starts_with("2017-10-01 09:")).count();
    assert!(out(&output).starts_with(&format!("{count} jobs of ")), "{}", out(&output));
    replay_refused(
        "philly:testdata/traces/philly.csv",
        &["--from", "2018-01-01"],
        "testdata/traces/philly.csv: no job was submitted in the window; \
         the trace goes from 2017-10-01T08:00:46Z to 2017-10-01T10:18:08Z",
    );
}

#[test]
fn a_wrong_replay_says_what_is_wrong() {
    replay_refused(
        "testdata/traces/philly.csv",
        &[],
        "--trace: \"testdata/traces/philly.csv\" has no format; \
         write FORMAT:PATH, where FORMAT is one of philly, knavigator",
    );
    replay_refused(
        "slurm:x.csv",
        &[],
        "--trace: unknown format \"slurm\"; this release knows philly, knavigator",
    );
    replay_refused(
        "philly:no.csv",
        &[],
        "cannot read no.csv: No such file or directory (os error 2)",
    );
    replay_refused(
        "philly:testdata/traces/knavigator.csv",
        &[],
        "testdata/traces/knavigator.csv: line 1: the header is \"job,submit_s,workers,gpus_per_worker,duration_s\"; \
         this format has \"timestamp,duration,num_gpus,gpu_time,cluster\"",
    );
    replay_refused(
        "knavigator:testdata/traces/knavigator.csv",
        &["--from", "2017-10-01"],
        "--from and --to need dates, and traces of the format knavigator have none",
    );
    let philly = "philly:testdata/traces/philly.csv";
    replay_refused(
        philly,
        &["--from", "October"],
        "--from: \"October\" is no date; write 2017-10-01 or 2017-10-01T08:00:00Z",
    );
    replay_refused(
        philly,
        &["--from", "2017-10-02", "--to", "2017-10-01"],
        "--to: must be later than --from; it is the first time that is left out",
    );
    replay_refused(
        philly,
        &["--policy", "fifo"],
        "--policy: unknown policy \"fifo\"; this release knows muster, skipping",
    );
}

#[test]
fn a_trace_that_was_cut_short_says_where() {
    let whole = fs::read_to_string("testdata/traces/philly.csv").expect("the trace exists");
    let second = whole.match_indices('\n').nth(1).map(|(at, _)| at).expect("the trace has lines");
    let cut = file("cut.csv", &whole[..second - 13]);
    let expected = format!(
        "{}: line 2: is cut short: 3 of 5 columns, the last is num_gpus \"1\"; complete the line or delete it",
        cut.display()
    );
    replay_refused(&format!("philly:{}", cut.display()), &[], &expected);
    let compressed =
        fs::read("testdata/traces/philly.csv.zst").expect("the compressed trace exists");
    let cut = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cut.csv.zst");
    fs::write(&cut, &compressed[..compressed.len() / 2])
        .expect("the build folder can be written to");
    let trace = format!("philly:{}", cut.display());
    let output =
        muster(&["replay", "--cluster", "testdata/clusters/philly-2x8.yaml", "--trace", &trace]);
    let expected = format!("error: {}: is damaged zstd data (", cut.display());
    assert!(err(&output).starts_with(&expected), "{}", err(&output));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_wrong_cluster_says_what_is_wrong() {
    let fleet = file("fleet.yaml", "nodes:\n- {name: a, gpu: 8}\n");
    let path = fleet.to_string_lossy();
    let output =
        muster(&["replay", "--cluster", &path, "--trace", "philly:testdata/traces/philly.csv"]);
    let expected =
        format!("error: {path}: line 2, column 13: unknown field \"gpu\": did you mean \"gpus\"?");
    assert!(err(&output).starts_with(&expected), "{}", err(&output));
    assert_eq!(output.status.code(), Some(2));
}

/// A kubeconfig for a server that nobody needs to answer.
fn kubeconfig(name: &str) -> PathBuf {
    let text = "apiVersion: v1\nkind: Config\ncurrent-context: nowhere\n\
                clusters:\n- {name: nowhere, cluster: {server: \"http://127.0.0.1:9\"}}\n\
                users:\n- {name: nobody, user: {}}\n\
                contexts:\n- {name: nowhere, context: {cluster: nowhere, user: nobody}}\n";
    file(name, text)
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let address = taken.local_addr().expect("a listener has an address");
    let config = file("port.yaml", &format!("http: {{listenAddress: \"{address}\"}}\n"));
    let kubeconfig = kubeconfig("port.kubeconfig");
    let (config, kubeconfig) = (config.to_string_lossy(), kubeconfig.to_string_lossy());
    let arguments = ["run", "--config", &config, "--kubeconfig", &kubeconfig];
    let expected = format!(
        "cannot listen on {address}: Address already in use (os error 98); \
         set http.listenAddress in the configuration to a free address"
    );
    refused(&arguments, 1, &expected);
}

#[test]
fn the_scheduler_does_not_start_with_a_wrong_configuration() {
    let config = file("names.yaml", "schedulerNames: [a, a]\n");
    let expected = format!(
        "{}: line 1, column 17: schedulerNames: \"a\" is listed twice; list it once",
        config.display()
    );
    refused(&["run", "--config", &config.to_string_lossy()], 2, &expected);
    let missing = "cannot read no/kubeconfig: No such file or directory (os error 2)";
    refused(&["run", "--kubeconfig", "no/kubeconfig"], 2, missing);
}

#[test]
fn an_explanation_needs_a_scheduler_to_ask() {
    let output = muster(&["explain", "train", "--server", "http://127.0.0.1:9"]);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(err(&output).starts_with("error: "), "{}", err(&output));
    assert!(err(&output).contains("127.0.0.1:9"), "{}", err(&output));
    let output = muster(&["explain", "Train/0"]);
    let expected = "error: name \"Train/0\" is no Kubernetes name; write it as kubectl shows it\n";
    assert_eq!((err(&output), output.status.code()), (expected, Some(2)));
}
