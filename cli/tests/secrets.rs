//! Nothing that the binary says or leaves behind has a secret in it, whatever goes wrong and
//! however much is traced.

#![cfg(all(feature = "scylla", feature = "sled"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::{CID, Place, example, run};
use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER};
use testbed::{Access, Cluster, Options, Tls};

/// A password, or a part of one, that must show nowhere.
const MARKER: &str = "s3cr3tMARKERpw";

/// A secret in every form in which it might be shown.
struct Secret {
    name: String,
    forms: Vec<String>,
}

impl Secret {
    fn new(name: &str, text: &str) -> Self {
        let bytes = text.as_bytes();
        let numbers: Vec<String> = bytes.iter().map(ToString::to_string).collect();
        let forms = [
            text.to_owned(),
            // Of base64, what does not depend on what stands before and behind.
            BASE64_NOPAD.encode(&bytes[..bytes.len() / 3 * 3]),
            HEXLOWER.encode(bytes),
            HEXLOWER.encode(bytes).to_uppercase(),
            numbers.join(", "),
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
        ];
        Self { name: name.to_owned(), forms: forms.into() }
    }

    fn in_text(&self, text: &str) -> Option<String> {
        let at = self.forms.iter().find_map(|form| text.find(form.as_str()))?;
        let around = text.as_bytes()[at.saturating_sub(200)..].iter().take(300).copied();
        Some(format!("{}: …{}…", self.name, String::from_utf8_lossy(&around.collect::<Vec<_>>())))
    }
}

/// All files below a folder.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path);
        }
    }
    found
}

/// Runs commands and looks for secrets in what they say and leave behind.
struct Watch {
    place: Place,
    secrets: Vec<Secret>,
    leaks: Vec<String>,
    runs: usize,
    /// Lines that the driver traced, to know that there were some.
    traced: usize,
}

impl Watch {
    fn new() -> Self {
        let secrets = vec![Secret::new("password", MARKER)];
        Self { place: Place::new(), secrets, leaks: Vec::new(), runs: 0, traced: 0 }
    }

    /// Runs the binary with everything traced; gives what it said on both streams.
    fn run(&mut self, args: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
        let temporary = self.place.path("tmp");
        std::fs::create_dir_all(&temporary).unwrap();
        let before = files(&self.place.path(""));
        let mut command = self.place.bare();
        command.args(args).env("TMPDIR", &temporary);
        command.env("PINSTATE_LOG", "trace").env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
        command
            .env("PINSTATE_LOG_FORMAT", if self.runs.is_multiple_of(2) { "text" } else { "json" });
        command.envs(variables.iter().copied());
        let ran = run(&mut command);
        self.runs += 1;
        self.traced += ran.stderr.lines().filter(|line| line.contains("scylla::")).count();
        let said = format!("{}{}", ran.stdout, ran.stderr);
        let left = files(&self.place.path(""));
        let mut texts = vec![("it said".to_owned(), said.clone())];
        for file in left.difference(&before) {
            let content = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
            texts.push((format!("it left in {}", file.display()), content));
        }
        for secret in &self.secrets {
            for (what, text) in &texts {
                if let Some(leak) = secret.in_text(text) {
                    self.leaks.push(format!("{args:?}: {what} the {leak}"));
                }
            }
        }
        (ran.code, said)
    }

    /// Every command on a store that is named like this; how they ended.
    fn every_command(&mut self, named: &[&str]) -> Vec<Option<i32>> {
        let example = example();
        let example = example.to_str().unwrap();
        let commands: &[&[&str]] = &[
            &["health"],
            &["doctor"],
            &["pin", "add", CID],
            &["pin", "get", CID],
            &["pin", "ls"],
            &["import", "--mode", "merge", example],
            &["export"],
            &["count"],
            &["schema", "show"],
            &["schema", "check"],
            &["schema", "create"],
            &["config", "show"],
            &["config", "check"],
        ];
        let mut codes = Vec::new();
        for command in commands {
            let args: Vec<&str> = named.iter().chain(*command).copied().collect();
            codes.push(self.run(&args, &[]).0);
        }
        codes
    }

    fn finish(self) {
        assert!(self.leaks.is_empty(), "{} leaks: {:#?}", self.leaks.len(), self.leaks);
        assert!(self.traced > 0, "nothing was traced in {} runs", self.runs);
    }
}

/// The configuration of a store, but for its login and what `more` says.
fn toml(access: &Access, keyspace: &str, more: &str) -> String {
    let files = access.tls.as_ref().unwrap();
    let (cert, key) = files.client.as_ref().unwrap();
    format!(
        "[stores.c]\nbackend = \"scylla\"\nhosts = [\"{}\"]\nkeyspace = \"{keyspace}\"\n\
         replication = \"dc1=1\"\ntimeout = \"30s\"\nconnect_timeout = \"5s\"\n{more}\n\
         [stores.c.tls]\nenabled = true\nca_file = {:?}\ncert_file = {cert:?}\nkey_file = {key:?}\n",
        access.contact_points[0], files.ca,
    )
}

#[test]
fn no_command_tells_a_secret_of_a_cluster_that_wants_a_login() {
    let tls = Tls::default().require_client_certificate();
    let options = Options::nodes(1).unwrap().with_auth().with_tls(tls);
    let Some(cluster) = testbed::for_tests::cluster(&options) else { return };
    let access = cluster.access();
    let Some(login) = &access.login else { return };
    let mut watch = Watch::new();
    let keyspace = format!("pins_{}", std::process::id());
    // The client's private key is one, too: a line of it is enough to know it by.
    let key = &access.tls.as_ref().unwrap().client.as_ref().unwrap().1;
    let key = std::fs::read_to_string(key).unwrap();
    let line = key.lines().nth(1).unwrap();
    watch.secrets.push(Secret { name: "private key".to_owned(), forms: vec![line.to_owned()] });
    make_role(&cluster);

    // All goes well: the secret is used, and not told.
    let right = format!("username = \"marked\"\npassword = \"{MARKER}\"");
    let file = watch.place.write("right.toml", toml(access, &keyspace, &right));
    let named = ["--config", &file, "--store", "c"];
    let codes = watch.every_command(&named);
    assert_eq!(codes[10], Some(0), "schema create: {codes:?}");
    let codes = watch.every_command(&named);
    assert!(codes.iter().all(|code| *code == Some(0)), "{codes:?}");

    let secret_file = watch.place.write("password", format!("{MARKER}\n"));
    let bogus = watch.place.write(
        "bogus.pem",
        format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            BASE64.encode(MARKER.as_bytes())
        ),
    );
    let plain = watch.place.write("plain.pem", MARKER);
    let wrong = format!("username = {:?}\npassword = \"{MARKER}\"", login.user);
    let with_key = |key: &str| {
        let ours = access.tls.as_ref().unwrap().client.as_ref().unwrap();
        toml(access, &keyspace, &wrong)
            .replace(&format!("key_file = {:?}", ours.1), &format!("key_file = {key:?}"))
    };
    let cases = [
        ("wrong password", toml(access, &keyspace, &wrong)),
        (
            "from a file",
            toml(
                access,
                &keyspace,
                &format!("username = {:?}\npassword_file = {secret_file:?}", login.user),
            ),
        ),
        ("wrong keyspace", toml(access, "not a name", &right)),
        ("another keyspace", toml(access, "nowhere_to_be_found", &right)),
        ("no TLS", toml(access, &keyspace, &right).replace("enabled = true", "enabled = false")),
        (
            "nobody there",
            toml(access, &keyspace, &right)
                .replace(&access.contact_points[0].to_string(), "127.0.0.1:1"),
        ),
        ("bad key", with_key(&bogus)),
        ("no key", with_key(&plain)),
        (
            "password of another type",
            toml(access, &keyspace, &format!("username = \"u\"\npassword = [\"{MARKER}\"]")),
        ),
        ("misspelt", toml(access, &keyspace, &format!("username = \"u\"\npasword = \"{MARKER}\""))),
        ("both", toml(access, &keyspace, &format!("{wrong}\npassword_file = {secret_file:?}"))),
        ("password without a name", toml(access, &keyspace, &format!("password = \"{MARKER}\""))),
        (
            "in the wrong table",
            toml(access, &keyspace, "username = \"u\"") + &format!("password = \"{MARKER}\"\n"),
        ),
        (
            "twice",
            toml(access, &keyspace, &format!("password = \"{MARKER}\"\npassword = \"{MARKER}\"")),
        ),
        ("without quotes", toml(access, &keyspace, &format!("password = {MARKER}"))),
        ("not TOML", toml(access, &keyspace, &format!("username = \"u\"\npassword = \"{MARKER}"))),
    ];
    // With these two, some commands do what they are for.
    let fine = ["from a file", "another keyspace"];
    for (case, text) in cases {
        let file = watch.place.write("case.toml", text);
        let codes = watch.every_command(&["--config", &file, "--store", "c"]);
        let failed = codes[..9].iter().all(|code| matches!(code, Some(1 | 2)));
        assert!(failed || fine.contains(&case), "{case}: {codes:?}");
    }
    watch.finish();
}

/// Makes a role whose password is the marker, that may do everything.
fn make_role(cluster: &Cluster) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let session = cluster.session_builder().unwrap().build().await.unwrap();
        let role = format!(
            "CREATE ROLE marked WITH PASSWORD = '{MARKER}' AND LOGIN = true AND SUPERUSER = true"
        );
        session.query_unpaged(role, ()).await.unwrap();
    });
}

#[test]
fn no_command_tells_a_password_of_a_uri_however_it_is_written() {
    let mut watch = Watch::new();
    let quick = "connect_timeout=1s&timeout=2s";
    let uris = [
        format!("scylla://user:{MARKER}@127.0.0.1:1/ks?{quick}"),
        format!("scylla://user:{MARKER}@no-such-host.invalid/ks?{quick}"),
        format!("scylla://user@127.0.0.1:1/ks?password={MARKER}&{quick}"),
        format!("scylla://user:{MARKER}@127.0.0.1:1/not%20a%20name"),
        format!("scylla://user:{MARKER}@127.0.0.1:1"),
        format!("scylla://user:{MARKER}@127.0.0.1:port/ks"),
        format!("scylla://user:{MARKER}@/ks"),
        format!("scylla://user:{MARKER}@"),
        format!("scylla://user:{MARKER}"),
        format!("scylla://user:{MARKER}/ks"),
        format!("scylla://user:{MARKER}@127.0.0.1:1/ks?timeout=soon"),
        format!("scylla://user:{MARKER}@127.0.0.1:1/ks?unheard_of=1"),
        format!("scylla://user:{MARKER}@127.0.0.1:1/ks?{quick}&password={MARKER}"),
        format!("scylla://user:{MARKER}?x@127.0.0.1:1/ks"),
        format!("scylla://user:a/{MARKER}@127.0.0.1:1/ks"),
        format!("scylla://user:a@{MARKER}@127.0.0.1:1/ks"),
        format!("scylla://user:{MARKER}%@127.0.0.1:1/ks"),
        format!("scylla://user:a#{MARKER}@127.0.0.1:1/ks"),
        format!("scylla:user:{MARKER}@127.0.0.1:1/ks"),
        format!("scylla:/user:{MARKER}@127.0.0.1:1/ks"),
        format!("scyla://user:{MARKER}@127.0.0.1:1/ks"),
        format!("scy lla://user:{MARKER}@127.0.0.1:1/ks"),
        format!(" scylla://user:{MARKER}@127.0.0.1:1/ks"),
        format!("//user:{MARKER}@127.0.0.1:1/ks"),
        format!("user:{MARKER}@127.0.0.1:1/ks"),
        format!("scylla://{MARKER}:{MARKER}@127.0.0.1:1/ks?{quick}").replacen(MARKER, "user", 1),
    ];
    // Files of the original form, good and bad.
    let json = |name: &str, text: String| format!("scylla:@{}", watch.place.write(name, text));
    let start = "{\"hosts\": [\"127.0.0.1:1\"], \"keyspace\": \"ks\", \"username\": \"u\", ";
    let files = [
        json("good.json", format!("{start}\"password\": \"{MARKER}\", \"timeout\": \"2s\"}}")),
        json("open.json", format!("{start}\"password\": \"{MARKER}}}")),
        json("bare.json", format!("{start}\"password\": {MARKER}}}")),
        json("list.json", format!("{start}\"password\": [\"{MARKER}\"]}}")),
        json("misspelt.json", format!("{start}\"pasword\": \"{MARKER}\"}}")),
        json("value.json", format!("{start}\"password\": \"{MARKER}\", \"timeout\": 1}}")),
    ];
    for uri in uris.iter().chain(&files) {
        let codes = watch.every_command(&["--store", uri]);
        // The configuration is shown and checked, and it has no store.
        assert!(codes[..8].iter().all(|code| matches!(code, Some(1 | 2))), "{uri}: {codes:?}");
    }
    // By the environment, and where it has no place on the command line.
    let uri = uris[0].as_str();
    for form in ["text", "json"] {
        for args in [&["health"][..], &["--help"], &["help", "import"], &["imprt"]] {
            watch.run(args, &[("PINSTATE_STORE", uri), ("PINSTATE_OUTPUT", form)]);
        }
        for args in [
            &[uri][..],
            &[uri, "health"],
            &["health", uri],
            &["--stor", uri, "health"],
            &["--stor=X"],
            &["--config", uri, "health"],
            &["--namespace", uri, "health"],
            &["--output", uri, "health"],
            &["pin", "ls", "--store"],
            &["--store", uri, "--store", uri, "health"],
        ] {
            let args: Vec<String> = args.iter().map(|arg| arg.replace('X', uri)).collect();
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            watch.run(&args, &[("PINSTATE_OUTPUT", form)]);
        }
    }
    // A peer of ipfs-cluster is named by an address of its own.
    let store = watch.place.sled_named("target");
    for peer in [
        format!("http://user:{MARKER}@127.0.0.1:1"),
        format!("https://user:{MARKER}@127.0.0.1:1/path?timeout=1"),
        format!("http://user:{MARKER}@127.0.0.1:port"),
        format!("http://user:{MARKER}"),
        format!("http://user:{MARKER}?x@127.0.0.1:1"),
        format!("http://user:a/{MARKER}@127.0.0.1:1"),
        format!("http://user@127.0.0.1:1?password={MARKER}"),
        format!("http://user:{MARKER}@127.0.0.1:1?password_file={MARKER}").replacen(MARKER, "x", 1),
        format!("http://user:{MARKER}@127.0.0.1:1?unheard_of=1"),
    ] {
        for args in [
            &["verify", &peer, &store][..],
            &["diff", &store, &peer],
            &["migrate", "plan", "--from", &peer, "--to", &store],
            &["migrate", "run", "--from", &peer, "--to", &store, "--yes"],
            &["--store", &store, "import", &peer],
            &["--store", &peer, "count"],
        ] {
            let (code, said) = watch.run(args, &[]);
            assert!(matches!(code, Some(1 | 2)), "{args:?}: {code:?} {said}");
        }
    }
    watch.finish();
}
