//! Passwords in command lines and headers, where no name marks them: `-pX`, `--pw X`, `-u user:X`,
//! `user:X@host`, `Basic X`.

use crate::redaction::detect::{contains_secret_word, has_secret_whole_word};

/// Programs whose `-p`, and what follows it without a blank, is a password.
const PASSWORD_PROGRAMS: [&str; 20] = [
    "7z",
    "7za",
    "cqlsh",
    "influx",
    "login",
    "mariadb",
    "mariadb-dump",
    "mongo",
    "mongodump",
    "mongoexport",
    "mongoimport",
    "mongorestore",
    "mongosh",
    "mysql",
    "mysqladmin",
    "mysqldump",
    "mysqlimport",
    "mysqlsh",
    "plink",
    "sshpass",
];
/// Programs and the letter of their other option for a password.
const PASSWORD_OPTIONS: [(&str, &str); 17] = [
    ("bcp", "-P"),
    ("isql", "-P"),
    ("kadmin", "-w"),
    ("keydb-cli", "-a"),
    ("ldapadd", "-w"),
    ("ldapdelete", "-w"),
    ("ldapmodify", "-w"),
    ("ldapsearch", "-w"),
    ("ldapwhoami", "-w"),
    ("mosquitto_pub", "-P"),
    ("mosquitto_sub", "-P"),
    ("openssl", "-k"),
    ("redis-cli", "-a"),
    ("sqlcmd", "-P"),
    ("unzip", "-P"),
    ("valkey-cli", "-a"),
    ("zip", "-P"),
];
/// Programs and their commands whose `-p` is something else: a port, a path, a project.
const OTHER_PROGRAMS: [&str; 38] = [
    "build",
    "cargo",
    "compose",
    "cp",
    "create",
    "declare",
    "docker-compose",
    "gdb",
    "git",
    "install",
    "kill",
    "lsof",
    "make",
    "mkdir",
    "nc",
    "netcat",
    "nmap",
    "npm",
    "npx",
    "patch",
    "perl",
    "ping",
    "ps",
    "psql",
    "pytest",
    "python",
    "python3",
    "read",
    "rsync",
    "run",
    "scp",
    "screen",
    "sftp",
    "ssh",
    "strace",
    "tar",
    "top",
    "yarn",
];
/// What stands before a colon in front of an `@` without being a user.
const OTHER_PREFIXES: [&str; 14] = [
    "acct",
    "arn",
    "docker",
    "image",
    "jsr",
    "mailto",
    "npm",
    "oci",
    "pkg",
    "sip",
    "sips",
    "urn",
    "workspace",
    "xmpp",
];
/// A number with more digits may be a PIN.
const MAX_PLAIN_DIGITS: usize = 3;

/// Whether a text has an option with a password, as command lines have them.
pub(super) fn has_secret_option(text: &str) -> bool {
    if !text.contains('-') && !text.contains(['B', 'b']) {
        return false;
    }
    let is_separator = |c: char| c.is_whitespace() || "\"'`,;|&()[]".contains(c);
    let words: Vec<&str> = text
        .split(is_separator)
        .filter(|word| !word.is_empty())
        .collect();
    (0..words.len()).any(|index| {
        is_long_option(&words, index)
            || is_user_option(&words, index)
            || is_password_option(&words, index)
            || is_basic_header(&words, index)
    })
}

/// `--pw X`, `--pw=X`, and `-pass X`, as some programs have them.
fn is_long_option(words: &[&str], index: usize) -> bool {
    let Some(option) = words[index].strip_prefix('-') else {
        return false;
    };
    let option = option.strip_prefix('-').unwrap_or(option);
    let (name, value) = match option.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (option, next_value(words, index)),
    };
    // A word that begins with a letter, so that `-1:key` is not an option.
    let is_name = name.len() >= 2 && name.starts_with(|c: char| c.is_alphabetic());
    let names_secret = has_secret_whole_word(name) && !name.eq_ignore_ascii_case("auth");
    is_name
        && (names_secret || contains_secret_word(name))
        && value.is_some_and(|value| !is_plain_value(value))
}

/// `-u user:X`, `--user user:X`, and `-U user%X`.
fn is_user_option(words: &[&str], index: usize) -> bool {
    let word = words[index];
    let value = match word {
        "-u" | "-U" | "--user" | "--proxy-user" | "--username" => next_value(words, index),
        _ => word
            .strip_prefix("-u")
            .or_else(|| word.strip_prefix("-U"))
            .or_else(|| word.strip_prefix("--user="))
            .or_else(|| word.strip_prefix("--proxy-user=")),
    };
    let Some(value) = value else {
        return false;
    };
    let pair = value.split_once(':').or_else(|| value.split_once('%'));
    let is_id = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    match pair {
        // `1000:1000` is a user and a group.
        Some((user, password)) if user.is_empty() || password.is_empty() => false,
        Some((user, password)) if is_id(user) && is_id(password) => false,
        Some((_, password)) => !password.starts_with(['$', '/']),
        None => false,
    }
}

/// `-p X` and `-pX`, and the option of a program that has another letter.
fn is_password_option(words: &[&str], index: usize) -> bool {
    let word = words[index];
    let earlier = &words[..index];
    let is_run = |program: &str| earlier.iter().any(|word| program_name(word) == program);
    for (program, option) in PASSWORD_OPTIONS {
        if let Some(glued) = word.strip_prefix(option)
            && is_run(program)
        {
            let value = if glued.is_empty() {
                next_value(words, index)
            } else {
                Some(glued)
            };
            return value.is_some_and(|value| !value.starts_with('$'));
        }
    }

    let Some(glued) = word.strip_prefix("-p") else {
        return false;
    };
    let has_password = PASSWORD_PROGRAMS.into_iter().any(is_run);
    let value = if glued.is_empty() {
        next_value(words, index)
    } else {
        Some(glued)
    };
    let Some(value) = value else {
        return false;
    };
    if has_password {
        return !value.starts_with('$');
    }
    let is_other = OTHER_PROGRAMS.into_iter().any(is_run) || is_port_or_path(value);
    // As `-parallelism=5` and `-print`.
    let is_long_option = !glued.is_empty()
        && glued
            .split('=')
            .next()
            .is_some_and(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
    !is_other && !is_long_option
}

/// `Basic X`, where `X` is the Base64 of a user and a password.
fn is_basic_header(words: &[&str], index: usize) -> bool {
    if !words[index].eq_ignore_ascii_case("basic") {
        return false;
    }
    let Some(value) = words.get(index + 1) else {
        return false;
    };
    let unpadded = value.trim_end_matches('=');
    let mut padded = unpadded.replace('-', "+").replace('_', "/");
    while !padded.len().is_multiple_of(4) {
        padded.push('=');
    }
    match aws_smithy_types::base64::decode(padded) {
        Ok(decoded) => decoded.contains(&b':'),
        Err(_) => false,
    }
}

/// Whether a text has `user:X@host` without the scheme of a URL.
pub(super) fn has_login_pair(text: &str) -> bool {
    let is_separator = |c: char| c.is_whitespace() || "\"'`,;()<>=".contains(c);
    let mut words = text.split(is_separator);
    words.any(|word| is_login_pair(word.trim_start_matches('[')))
}

fn is_login_pair(word: &str) -> bool {
    let Some((login, host)) = word.rsplit_once('@') else {
        return false;
    };
    let Some((user, password)) = login.split_once(':') else {
        return false;
    };
    let is_user_char = |c: char| c.is_alphanumeric() || "._%+-".contains(c);
    let prefix = user.to_ascii_lowercase();
    !password.is_empty()
        && !user.is_empty()
        && user.chars().all(is_user_char)
        && !OTHER_PREFIXES.contains(&prefix.as_str())
        && !password.starts_with('/')
        && host.starts_with(|c: char| c.is_alphanumeric() || c == '[')
        && !host.starts_with("sha256:")
}

fn next_value<'a>(words: &[&'a str], index: usize) -> Option<&'a str> {
    let next = words.get(index + 1)?;
    (!next.starts_with('-')).then_some(next)
}

/// The file name of a program, in small letters and without `.exe`.
fn program_name(word: &str) -> String {
    let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = name.to_ascii_lowercase();
    name.strip_suffix(".exe").unwrap_or(&name).to_owned()
}

/// Whether a value is a switch, a small number, or the name of a variable.
fn is_plain_value(value: &str) -> bool {
    let is_number = value.chars().all(|c| c.is_ascii_digit()) && value.len() <= MAX_PLAIN_DIGITS;
    is_number || value.is_empty() || matches!(value, "true" | "false") || value.starts_with('$')
}

/// `8080:80/tcp`, `1-1024`, `/path`, `./path`, `{…}`, `$VARIABLE`.
fn is_port_or_path(value: &str) -> bool {
    let value_without_protocol = value.trim_end_matches("/tcp").trim_end_matches("/udp");
    let is_port_char = |c: char| c.is_ascii_digit() || ":.-/[]".contains(c);
    value_without_protocol.chars().all(is_port_char)
        || value.starts_with(['/', '.', '~', '$', '{', '%', '<'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_passwords_in_options() {
        for text in [
            "mysql -u root -phunter",
            "/usr/bin/mysqldump -pX db",
            "[\"mongosh\", \"-p\", \"word\"]",
            "docker login -u me -p word",
            "tool -p word",
            "tool -pHunter2",
            "tool --pw word",
            "tool --pw=word",
            "tool -pass word",
            "tool --pin 1234",
            "tool --clave word",
            "curl -u jane:word https://x",
            "curl -ujane:word https://x",
            "curl --user=jane:word",
            "smbclient -U jane%word",
            "redis-cli -h x -a word",
            "ldapsearch -w word",
            "Authorization: Basic YTpi",
            "basic am9objp4",
        ] {
            assert!(has_secret_option(text), "{text}");
        }
    }

    #[test]
    fn other_options_are_none() {
        for text in [
            "docker run -p 8080:80 -u 1000:1000 nginx",
            "tool -p 8080:80/tcp",
            "tool -p /var/lib",
            "tool -p $WORD",
            "mkdir -p data",
            "ssh -p 22 host",
            "mysql -p$WORD -P 3306",
            "docker compose -p shop up",
            "terraform apply -parallelism=5",
            "find . -print -prune",
            "tool --port 80",
            "sort --key 2",
            "tool --key $KEY",
            "tool --pw",
            "tool --pw --verbose",
            "tool -u jane",
            "basic auth",
            "basic support",
            "a - b",
            "",
        ] {
            assert!(!has_secret_option(text), "{text}");
        }
    }

    #[test]
    fn finds_logins_without_a_scheme() {
        for text in [
            "jane:word@host:5432/db",
            "DB=jane:w@[::1]",
            "(jane.roe:a/b@c)",
        ] {
            assert!(has_login_pair(text), "{text}");
        }
        for text in [
            "git@github.com:org/x",
            "mailto:jane@example.com",
            "jane@example.com",
            "npm:pkg@1.2.3",
            "nginx:1.27@sha256:00",
            "arn:aws:sts::1:assumed-role/x/jane@example.com",
            "10:30",
            "@",
        ] {
            assert!(!has_login_pair(text), "{text}");
        }
    }
}
