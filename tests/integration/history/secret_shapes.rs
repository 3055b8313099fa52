//! Secrets in every form that a config may have: `history` and `diff` show none of them.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::commands::{put_version_with_md5, run_command};
use test_support::World;
use test_support::oracle::python_md5s;
use test_support::s3_backend::{S3Backend, S3ServerKind};

/// A secret in one form: a config with `SECRET` in its place, and two values.
struct SecretShape {
    name: &'static str,
    config: &'static str,
    secrets: [&'static str; 2],
}

/// Ordinary words, which only their keys mark as secrets.
const WORDS: [&str; 2] = ["canary-one", "canary-two"];

const fn by_key(name: &'static str, config: &'static str) -> SecretShape {
    SecretShape {
        name,
        config,
        secrets: WORDS,
    }
}

const fn by_itself(
    name: &'static str,
    config: &'static str,
    secrets: [&'static str; 2],
) -> SecretShape {
    SecretShape {
        name,
        config,
        secrets,
    }
}

/// The Base64 is from `printf … | base64`; keys and tokens are invented in their documented forms.
const SHAPES: [SecretShape; 40] = [
    by_key("under a plain name", "mongodb:\n  password: SECRET\n"),
    by_key(
        "in double quotes",
        "mongodb:\n  admin_password: \"SECRET\"\n",
    ),
    by_key("in single quotes", "mongodb:\n  adminPassword: 'SECRET'\n"),
    by_key("under a name in capitals", "DB_PASSWD: SECRET\n"),
    by_key("under a name with blanks", "mongodb:\n  api key: SECRET\n"),
    by_key("under a name in quotes", "\"private-key\": SECRET\n"),
    by_key(
        "in a block of lines",
        "private_key: |\n  first SECRET\n  second SECRET\nregion: x\n",
    ),
    by_key(
        "in folded lines",
        "token: >-\n  first\n  SECRET\n\n  last\nregion: x\n",
    ),
    by_key(
        "in a text over two lines",
        "token: first\n  SECRET\nregion: x\n",
    ),
    by_key(
        "in a quoted text over two lines",
        "token: \"first\n\n  SECRET \\\n  last\"\nregion: x\n",
    ),
    by_key("in a list", "tokens:\n  - a\n  - SECRET\n"),
    by_key(
        "in a list that is not indented",
        "tokens:\n- a\n- SECRET\nregion: x\n",
    ),
    by_key("in a flow list", "tokens: [a, SECRET]\n"),
    by_key(
        "in a flow list over lines",
        "tokens: [a,\nSECRET\n]\nregion: x\n",
    ),
    by_key("in a flow mapping", "portal: {user: a, password: SECRET}\n"),
    by_key(
        "in a flow mapping over lines",
        "portal: {\n  user: a,\n  pwd: SECRET\n}\nregion: x\n",
    ),
    by_key(
        "below a secret name",
        "credentials:\n  user:\n    name: SECRET\n",
    ),
    by_key("as a key below a secret name", "tokens:\n  SECRET: admin\n"),
    by_key(
        "as a key in a flow mapping below one",
        "tokens: {SECRET: admin}\n",
    ),
    by_key(
        "with an anchor and an alias",
        "secret: &s SECRET\nother: *s\npassword: *s\n",
    ),
    by_key(
        "in a mapping with an anchor",
        "secrets: &all\n  a: SECRET\nregion: x\n",
    ),
    by_key("with a tag", "password: !!str SECRET\n"),
    by_key("with a tag of its own", "settings: !vault SECRET\n"),
    by_key(
        "as a pair of name and value",
        "env:\n  - name: DB_PASSWORD\n    value: SECRET\n",
    ),
    by_key(
        "as a pair in a flow mapping",
        "env: [{name: API_TOKEN, value: SECRET}]\n",
    ),
    by_key(
        "in JSON in a string",
        "settings: '{\"user\": \"a\", \"password\": \"SECRET\"}'\n",
    ),
    by_key(
        "in a connection string",
        "database: Server=db;User=a;Pwd=SECRET;Port=1\n",
    ),
    by_key(
        "in a command line",
        "command: login --token SECRET --user a\n",
    ),
    by_key(
        "as a key behind a question mark",
        "tokens:\n  ? SECRET\n  : admin\nregion: x\n",
    ),
    by_key(
        "in a URL",
        "url: mongodb+srv://arena:SECRET@cluster0.example.net/db\n",
    ),
    by_itself(
        "PEM",
        "file: |\n  -----BEGIN PRIVATE KEY-----\n  SECRET\n  -----END PRIVATE KEY-----\nregion: x\n",
        ["MIIcanary1", "MIIcanary2"],
    ),
    by_itself(
        "an access key of AWS",
        "id: SECRET\n",
        ["AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAMPLE"],
    ),
    by_itself(
        "a secret key of AWS",
        "other: SECRET\n",
        [
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY",
        ],
    ),
    by_itself(
        "a JWT",
        "session: SECRET\n",
        [
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.dBjftJeZ4CVP",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJvdGhlciJ9.kq8Zt0aB7c3D",
        ],
    ),
    by_itself(
        "Base64 of a word",
        "data:\n  file: SECRET\n",
        ["Y2FuYXJ5LW9uZQ==", "Y2FuYXJ5LXR3bw=="],
    ),
    by_itself(
        "hex digits",
        "salted: SECRET\n",
        [
            "9f86d081884c7d659a2feaa0c55ad015",
            "60303ae22b998861bce3b28f33eec1be",
        ],
    ),
    by_itself(
        "a UUID",
        "project: SECRET\n",
        [
            "1b9c2f1e-6d0a-4b3c-9a51-0f7e6a5d4c3b",
            "7c1e9d2a-5b3f-4e8d-8c6a-2f4b6d8e0a1c",
        ],
    ),
    by_itself(
        "what rules for passwords ask for",
        "other: SECRET\n",
        ["Tr0ub4dor&3", "Corr3ct!Horse"],
    ),
    by_itself(
        "a secret as a key",
        "members:\n  SECRET: admin\n",
        [
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "ghp_58D9f31A473b8024C9921d616458Bf267C5b",
        ],
    ),
    by_itself(
        "in a comment as well",
        "# it was SECRET before\nregion: SECRET\n",
        ["AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAMPLE"],
    ),
];

/// The config of a shape with one of its secrets.
fn config_with_secret(shape: &SecretShape, number: usize) -> String {
    shape.config.replace("SECRET", shape.secrets[number])
}

/// The configs of a shape, oldest first: with each secret, and without the secret and its parents.
fn configs_of(shape: &SecretShape) -> [String; 3] {
    [
        config_with_secret(shape, 0),
        config_with_secret(shape, 1),
        "name: x\n".to_owned(),
    ]
}

/// The MD5s of all configs, by one call of Python.
static MD5S: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let configs: Vec<String> = SHAPES.iter().flat_map(configs_of).collect();
    let md5s = python_md5s(&configs);
    configs.into_iter().zip(md5s).collect()
});

/// A bucket with the configs of a shape.
fn backend_with_versions(shape: &SecretShape) -> S3Backend {
    let backend = S3Backend::new(S3ServerKind::Embedded);
    for (day, config) in (1..).zip(configs_of(shape)) {
        let at = format!("2026-10-0{day}T08:00:00Z");
        put_version_with_md5(&backend, &at, &config, &MD5S[&config]);
    }
    backend
}

/// The output of `diff` for pairs of versions, by their days.
fn all_outputs(world: &World, pairs: &[[&str; 2]], more: &[&str]) -> String {
    let one = |pair: &[&str; 2]| {
        let (code, output, messages) =
            run_command(world, &[&["diff", "acme"], &pair[..], more].concat());
        assert!(
            code == Some(0) && output.starts_with("--- "),
            "{output}{messages}"
        );
        output + &messages
    };
    pairs.iter().map(one).collect()
}

/// The first secret of a shape that a text contains.
fn find_leak(shape: &SecretShape, said: &str) -> Option<&'static str> {
    shape
        .secrets
        .into_iter()
        .find(|secret| said.contains(secret))
}

#[test]
fn shows_no_secret_of_any_shape_unless_asked() {
    // `history` is asked here, too, because a bucket costs more than a question.
    const DAYS: [&str; 3] = ["2026-10-01", "2026-10-02", "2026-10-03"];
    // The first secret changes, and the second one goes.
    let pairs = [[DAYS[0], DAYS[1]], [DAYS[1], DAYS[2]]];
    for shape in &SHAPES {
        let backend = backend_with_versions(shape);
        let masked = all_outputs(&backend.world, &pairs, &[]);
        assert_eq!(find_leak(shape, &masked), None, "{}: {masked}", shape.name);

        // The control: where secrets are shown, the same search finds them.
        let clear = all_outputs(&backend.world, &pairs[..1], &["--show-secrets"]);
        assert!(
            find_leak(shape, &clear).is_some(),
            "{}: {clear}",
            shape.name
        );
        assert!(clear.ends_with("config-backup: WARNING: secrets are shown in clear\n"));

        let (code, output, messages) = run_command(&backend.world, &["history", "acme"]);
        assert_eq!(
            (code, find_leak(shape, &output), messages.as_str()),
            (Some(0), None, ""),
            "{}: {output}",
            shape.name
        );
    }
}
