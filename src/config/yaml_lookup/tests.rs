//! What is read out of a YAML file, and which files are not read at all.

use super::*;

const CUSTOMER_NAME_PATH: [(&str, &str); 1] = [("customer", "name")];

fn look_up_customer_name(text: &str) -> FieldValue {
    let [found] = look_up_values(text, CUSTOMER_NAME_PATH).expect("YAML");
    found
}

#[test]
fn brackets_that_close_nothing_do_not_let_the_next_ones_in() {
    // Each would keep the parser busy for minutes.
    for hidden in ["[']',", "[\"]\",", "{']':", "[ #]\n"] {
        let bomb = format!("a: {}", hidden.repeat((1 << 20) / hidden.len() - 1));
        assert_eq!(
            look_up_values(&bomb, CUSTOMER_NAME_PATH),
            Err("it has too many brackets for its size".to_owned()),
            "{hidden}"
        );
    }
    let directives = (0..40_000)
        .map(|number| format!("%TAG !{number}! x\n"))
        .collect::<Vec<_>>()
        .concat();
    assert!(
        look_up_values(&directives, CUSTOMER_NAME_PATH)
            .is_err_and(|problem| problem == "it has too many brackets for its size")
    );
    let long = format!(
        "customer: {{name: a}}\n{}",
        "- {cidr: \"10.0.0.0/8\", comment: \"an office\"}\n"
            .repeat(2000)
            .replace("- ", "  - ")
    );
    assert_eq!(
        look_up_customer_name(&long.replacen('\n', "\nx:\n", 1)),
        FieldValue::Text("a".to_owned()),
        "a long list is none of these"
    );
}

#[test]
fn sixty_four_levels_are_read_and_the_first_line_with_more_is_named() {
    let blocks = |levels: usize| {
        (0..levels)
            .map(|level| format!("{}a:\n\n", " ".repeat(level)))
            .collect::<Vec<_>>()
            .concat()
    };
    for (text, expected) in [
        (format!("a:\n {}", "[".repeat(64)), None),
        (format!("a:\n {}", "[".repeat(65)), Some(2)),
        ("{".repeat(65), Some(1)),
        ("[]{}".repeat(100), None),
        (format!("{}x", "- ".repeat(64)), None),
        (format!("a\n{}x", "- ".repeat(65)), Some(2)),
        (format!("{}x", " ".repeat(70)), None),
        (blocks(64), None),
        (blocks(66), Some(129)),
        ("a:\n  b:\n".repeat(100), None),
    ] {
        assert_eq!(find_too_deep_line(&text), expected, "{text}");
    }
    assert_eq!(
        check_yaml_limits(&format!("a:\n {}", "[".repeat(65))),
        Err("it is nested deeper than 64 levels at line 2".to_owned())
    );
}

#[test]
fn brackets_times_bytes_have_a_bound() {
    let text = |brackets: usize| "[".repeat(brackets) + &" ".repeat((1 << 20) - brackets);
    assert_eq!(
        (
            has_too_many_brackets(&text(256)),
            has_too_many_brackets(&text(257))
        ),
        (false, true)
    );
}

#[test]
fn aliases_are_followed_only_to_what_is_wanted() {
    let lines =
        (1..40).map(|level| format!("a{level}: &a{level} [*a{0}, *a{0}, *a{0}]\n", level - 1));
    let laughs = std::iter::once("a0: &a0 [x, x]\n".to_owned())
        .chain(lines)
        .collect::<Vec<_>>()
        .concat();
    for more in [&laughs, "a: &a [*a]\n", ""] {
        assert_eq!(
            look_up_customer_name(&format!("{more}x: &x {{name: &n airbnb}}\ncustomer: *x\n")),
            FieldValue::Text("airbnb".to_owned()),
            "{more}"
        );
    }
    assert_eq!(
        look_up_customer_name(&format!("{laughs}customer: {{name: *a39}}\n")),
        FieldValue::NotScalar
    );
    assert!(look_up_values("customer: &c {name: &n [*n]}\n", CUSTOMER_NAME_PATH).is_ok());
}

#[test]
fn a_number_of_any_size_anywhere_is_no_mistake() {
    assert_eq!(
        look_up_customer_name(
            "id: 123456789012345678901\nlow: -123456789012345678901\ncustomer: {name: a}\n"
        ),
        FieldValue::Text("a".to_owned())
    );
    assert_eq!(
        look_up_customer_name("customer: {name: 123456789012345678901}\n"),
        FieldValue::LargeInteger("123456789012345678901".to_owned())
    );
}

#[test]
fn what_has_a_tag_of_its_own_is_looked_into_but_is_no_value() {
    assert_eq!(
        look_up_customer_name("!config\ncustomer: !c {name: a}\n"),
        FieldValue::Text("a".to_owned())
    );
    assert_eq!(
        look_up_customer_name("customer: {name: !n a}\n"),
        FieldValue::NotScalar
    );
    assert_eq!(
        look_up_customer_name("customer: {name: !!str 7}\n"),
        FieldValue::Text("7".to_owned())
    );
}

#[test]
fn a_key_that_stands_there_twice_is_a_mistake() {
    for text in [
        "customer: {name: a}\ncustomer: {name: b}\n",
        "customer: {name: a, name: b}\n",
        "x: 1\nx: 2\n",
    ] {
        assert!(
            look_up_values(text, CUSTOMER_NAME_PATH)
                .is_err_and(|problem| problem.starts_with("it is not valid YAML at line ")),
            "{text}"
        );
    }
}

#[test]
fn a_value_is_told_by_its_kind_and_no_value_is_a_mapping_of_keys() {
    for (value, expected) in [
        ("~", FieldValue::Absent),
        ("true", FieldValue::Bool(true)),
        ("5", FieldValue::Number(5_u64.into())),
        ("-5", FieldValue::Number((-5_i64).into())),
        ("1.5", FieldValue::Number(1.5.into())),
        (
            "18446744073709551616",
            FieldValue::LargeInteger("18446744073709551616".to_owned()),
        ), // 2^64
        (
            "-9223372036854775809",
            FieldValue::LargeInteger("-9223372036854775809".to_owned()),
        ), // -2^63 - 1
        ("airbnb", FieldValue::Text("airbnb".to_owned())),
        ("[a]", FieldValue::NotScalar),
        ("{a: b}", FieldValue::NotScalar),
    ] {
        assert_eq!(
            look_up_customer_name(&format!("customer: {{name: {value}}}\n")),
            expected,
            "{value}"
        );
        if value != "{a: b}" {
            assert_eq!(
                look_up_values(&format!("{value}\n"), CUSTOMER_NAME_PATH),
                Err("it is no mapping of keys to values at line 1".to_owned()),
                "{value}"
            );
        }
    }
}
