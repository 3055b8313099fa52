//! What looks like a secret and what does not, at the edge between the two.

use super::*;

#[test]
fn recognises_names_of_secrets_in_any_style() {
    for name in [
        "password",
        "adminPassword",
        "DB_PASSWD",
        "database-admin-password",
        "Api Key",
        "apiKey",
        "API_KEY",
        "x-api-key",
        "private_key",
        "privateKey",
        "public_key",
        "credentials",
        "aws_secret_access_key",
        "githubToken",
        "TOKEN",
        "user.pass",
        "pwd",
        "Pin",
        "authKey",
        "signing key",
        "key",
        "passphrase",
        "connectionString",
        "dsn",
        "PASSWORT",
    ] {
        assert!(is_secret_name(name), "{name}");
    }
    for name in [
        "name",
        "project_name",
        "cluster_region",
        "instance_size",
        "additional_users_count",
        "profile",
        "email",
        "monkey",
        "keyboard",
        "pinned",
        "compass",
        "authors",
        "bypass_vpc",
        "region",
        "",
    ] {
        assert!(!is_secret_name(name), "{name}");
    }
}

#[test]
fn tells_a_key_from_a_secret_in_the_place_of_a_key() {
    for key in [
        "password",
        "database_admin_password",
        "terminationGracePeriodSeconds",
        "kubernetes.io/role/elb",
        "a b",
        "é",
    ] {
        assert!(!is_secret_key(key), "{key}");
    }
    for key in [
        "AKIAIOSFODNN7EXAMPLE",
        "Tr0ub4dor&3",
        "my secret\nof two lines",
        "aHVudGVyMg==",
        "mongodb://a:b@c",
        "qzxkvjwpqmrtzhbn",
    ] {
        assert!(is_secret_key(key), "{key}");
    }
}

#[test]
fn recognises_values_that_look_like_secrets() {
    for value in [
        "-----BEGIN RSA PRIVATE KEY-----\nabc",
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP",
        "mongodb+srv://arena:hunter2@cluster0.example.net/db",
        "postgres://u:p@ss/word@h/db",
        "https://ghp@github.com/x.git",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "1b9c2f1e-6d0a-4b3c-9a51-0f7e6a5d4c3b",
        "d188280766a258ccc135ef480b49230c",
        "aHVudGVyMg==",
        "cGFzc3dvcmQ9aHVudGVyMg",
        "{\"user\": \"a\", \"pwd\": \"x\"}",
        "Server=db;Pwd=x",
        "Bearer abc",
        "Tr0ub4dor&3",
        "curl -H 'X: 9f86d081884c7d65'",
    ] {
        assert!(is_secret_text(value), "{value}");
    }
    for value in [
        "",
        "M30",
        "US_EAST_2",
        "us-east-2",
        "airbnb-project",
        "arena-cluster",
        "someone@example.com",
        "10.0.0.0/8",
        "m5.xlarge",
        "arn:aws:iam::123456789012:role/deployer",
        "https://example.com/a/b?c=d",
        "2026-11-23T10:11:12Z",
        "An office in Zurich, 2nd floor",
        "terraform-aws-modules/eks/aws",
        "v1.12.6",
        "vpc-0a1b2c3d",
        "0 3 * * 1",
        "kubernetes.io/role/elb",
    ] {
        assert!(!is_secret_text(value), "{value}");
    }
}

#[test]
fn the_name_of_a_secret_is_not_a_secret() {
    assert!(is_secret_word("Password") && is_secret_word("PIN"));
    assert!(!is_secret_word("airbnb") && !is_secret_word("passwords"));
    let name = "name ".repeat(16);
    assert!(
        !is_secret_key(&name) && is_secret_key(&(name + "s")),
        "no name has more than 80 bytes"
    );
}

#[test]
fn a_port_or_a_path_with_an_at_sign_is_not_userinfo() {
    assert!(
        !is_secret_text("https://example.com/users/@me")
            && !is_secret_text("https://example.com:8080/x")
    );
    assert!(is_secret_text("https://u:p/w@example.com") && is_secret_text("x://u@h"));
}

#[test]
fn an_id_in_groups_of_hex_digits_is_taken_for_a_secret() {
    assert!(
        is_secret_text("12345678-1234-1234-1234-123456789012")
            && is_uuid_like("12ab-34cd-56ef-7890")
    );
    for other in [
        "1234-1234-1234",
        "123-1234-1234-1234",
        "1234-1234-1234-123g",
        "east-west-1234-1234",
    ] {
        assert!(!is_uuid_like(other), "{other}");
    }
}

#[test]
fn recognises_text_in_base64() {
    // By base64(1).
    for (part, expected) in [
        ("dGhpcyBpcyBh", true), // this is a
        ("aGVsbG8=", true),     // hello
        ("YWJjZA==", false),    // abcd: six characters
        ("aGVsbG8gd29y", true),
        ("aGVsbG8gd28", false),  // eleven
        ("//79/Ps=", true),      // no text, but padded
        ("9/j5+vv8/f7/", false), // no text
        ("AQIDIGEgYiBj", false), // control characters
        ("AXBhc3N3b3Jk", true),
        ("terraform-aws", false),
    ] {
        assert_eq!(is_base64_text(part, 0), expected, "{part}");
    }
    assert!(is_secret_text("dGhpcyBpcyBh"));
    // Two control characters, a blank, and the Base64 of `this is a`.
    let in_itself = "AQEgZEdocGN5QnBjeUJo";
    assert!(is_base64_text(in_itself, 2) && !is_base64_text(in_itself, MAX_BASE64_DEPTH));
    assert!(
        is_base64_text("dGhpcyBpcyBh", MAX_BASE64_DEPTH)
            && !is_base64_text("dGhpcyBpcyBh", MAX_BASE64_DEPTH + 1)
    );
}
