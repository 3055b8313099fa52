//! What is read out of a YAML file, and which files are not read at all.

use super::*;

const NAME: [(&str, &str); 1] = [("customer", "name")];

fn name(text: &str) -> Found {
    let [found] = read(text, NAME).expect("YAML");
    found
}

#[test]
fn brackets_that_close_nothing_do_not_let_the_next_ones_in() {
    // Each would keep the parser busy for minutes.
    for hidden in ["[']',", "[\"]\",", "{']':", "[ #]\n"] {
        let bomb = format!("a: {}", hidden.repeat((1 << 20) / hidden.len() - 1));
        assert_eq!(read(&bomb, NAME), Err("it has too many brackets for its size".to_owned()), "{hidden}");
    }
    let directives = (0..40_000).map(|number| format!("%TAG !{number}! x\n")).collect::<Vec<_>>().concat();
    assert!(read(&directives, NAME).is_err_and(|problem| problem == "it has too many brackets for its size"));
    let long =
        format!("customer: {{name: a}}\n{}", "- {cidr: \"10.0.0.0/8\", comment: \"an office\"}\n".repeat(2000).replace("- ", "  - "));
    assert_eq!(name(&long.replacen('\n', "\nx:\n", 1)), Found::Text("a".to_owned()), "a long list is none of these");
}

#[test]
fn sixty_four_levels_are_read_and_the_first_line_with_more_is_named() {
    let blocks = |levels: usize| (0..levels).map(|level| format!("{}a:\n\n", " ".repeat(level))).collect::<Vec<_>>().concat();
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
        assert_eq!(too_deep(&text), expected, "{text}");
    }
    assert_eq!(guard(&format!("a:\n {}", "[".repeat(65))), Err("it is nested deeper than 64 levels at line 2".to_owned()));
}

#[test]
fn brackets_times_bytes_have_a_bound() {
    let text = |brackets: usize| "[".repeat(brackets) + &" ".repeat((1 << 20) - brackets);
    assert_eq!((is_too_costly(&text(256)), is_too_costly(&text(257))), (false, true));
}

#[test]
fn aliases_are_followed_only_to_what_is_wanted() {
    let lines = (1..40).map(|level| format!("a{level}: &a{level} [*a{0}, *a{0}, *a{0}]\n", level - 1));
    let laughs = std::iter::once("a0: &a0 [x, x]\n".to_owned()).chain(lines).collect::<Vec<_>>().concat();
    for more in [&laughs, "a: &a [*a]\n", ""] {
        assert_eq!(name(&format!("{more}x: &x {{name: &n airbnb}}\ncustomer: *x\n")), Found::Text("airbnb".to_owned()), "{more}");
    }
    assert_eq!(name(&format!("{laughs}customer: {{name: *a39}}\n")), Found::Other);
    assert!(read("customer: &c {name: &n [*n]}\n", NAME).is_ok());
}

#[test]
fn a_number_of_any_size_anywhere_is_no_mistake() {
    assert_eq!(name("id: 123456789012345678901\nlow: -123456789012345678901\ncustomer: {name: a}\n"), Found::Text("a".to_owned()));
    assert_eq!(name("customer: {name: 123456789012345678901}\n"), Found::Large("123456789012345678901".to_owned()));
}

#[test]
fn what_has_a_tag_of_its_own_is_looked_into_but_is_no_value() {
    assert_eq!(name("!config\ncustomer: !c {name: a}\n"), Found::Text("a".to_owned()));
    assert_eq!(name("customer: {name: !n a}\n"), Found::Other);
    assert_eq!(name("customer: {name: !!str 7}\n"), Found::Text("7".to_owned()));
}

#[test]
fn a_key_that_stands_there_twice_is_a_mistake() {
    for text in ["customer: {name: a}\ncustomer: {name: b}\n", "customer: {name: a, name: b}\n", "x: 1\nx: 2\n"] {
        assert!(read(text, NAME).is_err_and(|problem| problem.starts_with("it is not valid YAML at line ")), "{text}");
    }
}

#[test]
fn a_value_is_told_by_its_kind_and_no_value_is_a_mapping_of_keys() {
    for (value, expected) in [
        ("~", Found::Nothing),
        ("true", Found::Flag(true)),
        ("5", Found::Number(5_u64.into())),
        ("-5", Found::Number((-5_i64).into())),
        ("1.5", Found::Number(1.5.into())),
        ("18446744073709551616", Found::Large("18446744073709551616".to_owned())), // 2^64
        ("-9223372036854775809", Found::Large("-9223372036854775809".to_owned())), // -2^63 - 1
        ("airbnb", Found::Text("airbnb".to_owned())),
        ("[a]", Found::Other),
        ("{a: b}", Found::Other),
    ] {
        assert_eq!(name(&format!("customer: {{name: {value}}}\n")), expected, "{value}");
        if value != "{a: b}" {
            assert_eq!(read(&format!("{value}\n"), NAME), Err("it is no mapping of keys to values at line 1".to_owned()), "{value}");
        }
    }
}
