//! Properties of masked differences over documents drawn from a seed, which a failure names.

use config_backup::config::document::parse_document;
use config_backup::redaction::render::RedactionMode;
use serde_json::{Map, Value, json};

const SEED: u64 = 0x2026_1124;
/// A secret that can be recognized only by its key.
const CANARY: &str = "canary-word";

/// A random document of a few levels, with frequent equal keys and values and many secrets.
fn draw(chance: &mut fastrand::Rng, depth: u8) -> Value {
    const WORDS: [&str; 12] = [
        "a",
        "b",
        "password",
        "api_key",
        "size",
        "true",
        "1",
        "AKIAIOSFODNN7EXAMPLE",
        "x y",
        "",
        "~",
        "é\n",
    ];
    let mut word = || WORDS[chance.usize(..WORDS.len())].to_owned();
    let (one, other) = (word(), word());
    match chance.u8(..if depth > 3 { 5 } else { 8 }) {
        0 => Value::Null,
        1 => json!(chance.bool()),
        2 => json!(chance.i8(..)),
        3 | 4 => json!(one),
        5 => Value::Array(
            (0..chance.u8(..4))
                .map(|_| draw(chance, depth + 1))
                .collect(),
        ),
        _ => Value::Object(
            [one, other]
                .into_iter()
                .map(|key| (key, draw(chance, depth + 1)))
                .collect::<Map<_, _>>(),
        ),
    }
}

/// The document as YAML: mappings in random order, in block or flow style, between comments.
fn spell(chance: &mut fastrand::Rng, value: &Value, indent: usize) -> String {
    let lead = " ".repeat(indent);
    let comment = if chance.bool() {
        format!("{lead}# password: canary\n")
    } else {
        String::new()
    };
    match value {
        Value::Object(map) if !map.is_empty() && chance.bool() => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            chance.shuffle(&mut entries);
            let line = |(key, value): (&String, &Value)| {
                format!(
                    "{lead}{}:\n{}",
                    json!(key),
                    spell(chance, value, indent + 2)
                )
            };
            comment + &entries.into_iter().map(line).collect::<Vec<_>>().concat()
        }
        Value::Array(list) if !list.is_empty() && chance.bool() => {
            let line = |item: &Value| format!("{lead}-\n{}", spell(chance, item, indent + 2));
            comment + &list.iter().map(line).collect::<Vec<_>>().concat()
        }
        // JSON is YAML.
        other => format!("{comment}{lead}{other}\n"),
    }
}

/// Changes at most one value.
fn change(chance: &mut fastrand::Rng, value: &mut Value) {
    let inner = match value {
        Value::Array(list) => {
            let place = chance.usize(..list.len().max(1));
            list.get_mut(place)
        }
        Value::Object(map) => {
            let count = map.len();
            map.values_mut().nth(chance.usize(..count.max(1)))
        }
        _ => None,
    };
    match inner {
        Some(inner) if chance.u8(..4) > 0 => change(chance, inner),
        _ => *value = draw(chance, 3),
    }
}

#[test]
fn the_masked_difference_is_empty_exactly_when_the_documents_are_equal() {
    let mut chance = fastrand::Rng::with_seed(SEED);
    let (mut equal, mut different) = (0, 0);
    for round in 0..4000 {
        let one = draw(&mut chance, 0);
        let mut other = one.clone();
        if chance.bool() {
            change(&mut chance, &mut other);
        }
        let spelled = [&one, &other].map(|value| spell(&mut chance, value, 0));
        let [before, after] = spelled.each_ref().map(|text| {
            parse_document(text.as_bytes()).unwrap_or_else(|why| panic!("{why}: {text}"))
        });
        let lines = RedactionMode::Redact(Some([7; 32])).render_changes(&before, &after);
        assert_eq!(
            lines.is_empty(),
            one == other,
            "seed {SEED}, round {round}: {spelled:?} gives {lines:?}"
        );
        assert_eq!(
            RedactionMode::ShowSecrets
                .render_changes(&before, &after)
                .is_empty(),
            one == other,
            "seed {SEED}, round {round}"
        );
        *(if one == other {
            &mut equal
        } else {
            &mut different
        }) += 1;
    }
    assert!(equal > 500 && different > 500, "{equal} and {different}");
}

/// Replaces all texts below keys of secrets by the canary.
fn plant(value: &mut Value, is_secret: bool) {
    match value {
        Value::String(text) if is_secret => CANARY.clone_into(text),
        Value::Array(list) => list.iter_mut().for_each(|item| plant(item, is_secret)),
        Value::Object(map) => {
            map.iter_mut().for_each(|(key, item)| {
                plant(
                    item,
                    is_secret || ["password", "api_key"].contains(&key.as_str()),
                );
            });
        }
        _ => {}
    }
}

/// How many lines of the difference show the canary.
fn count_leaks(before: &str, after: &str, mode: RedactionMode) -> usize {
    let [before, after] = [before, after]
        .map(|text| parse_document(text.as_bytes()).unwrap_or_else(|why| panic!("{why}: {text}")));
    let lines = mode.render_changes(&before, &after);
    let leaks = lines.iter().filter(|line| line.text.contains(CANARY));
    leaks.count()
}

#[test]
fn shows_no_secret_in_any_spelling() {
    let mut chance = fastrand::Rng::with_seed(SEED);
    let mut in_clear = 0;
    for round in 0..4000 {
        let mut pair = [draw(&mut chance, 0), draw(&mut chance, 0)];
        for value in &mut pair {
            plant(value, false);
        }
        let [before, after] = pair.each_ref().map(|value| spell(&mut chance, value, 0));
        assert_eq!(
            count_leaks(&before, &after, RedactionMode::Redact(None)),
            0,
            "seed {SEED}, round {round}: {before}{after}"
        );
        in_clear += count_leaks(&before, &after, RedactionMode::ShowSecrets);
    }
    assert!(
        in_clear > 100,
        "without redaction it would be seen: {in_clear}"
    );
}
