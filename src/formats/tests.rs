//! One small table in every form, by RFC 4180, RFC 8259, GitHub's Markdown and the width of a terminal.

use unicode_width::UnicodeWidthStr;

use super::*;

const NAMES: [&str; 3] = ["name", "n", "late"];

fn text(text: &str) -> Cell<'_> {
    Cell::Text(text.into())
}

fn rows() -> Vec<Vec<Cell<'static>>> {
    vec![vec![text("a, \"b\""), Cell::Count(5), Cell::Flag(true)], vec![text("=1|x"), Cell::Count(1000), Cell::Flag(false)]]
}

fn written(format: Format, rows: &[Vec<Cell<'static>>], style: Style) -> String {
    let mut output = Vec::new();
    write(format, &NAMES, || Box::new(rows.iter().cloned()), style, &mut output).expect("a vector takes it");
    String::from_utf8(output).expect("text")
}

fn usual(format: Format) -> String {
    written(format, &rows(), Style::default())
}

#[test]
fn csv_is_quoted_and_runs_no_formula_unless_it_is_raw() {
    let head = "name,n,late\n\"a, \"\"b\"\"\",5,true\n";
    assert_eq!(usual(Format::Csv), format!("{head}'=1|x,1000,false\n"));
    assert_eq!(written(Format::Csv, &rows(), Style { raw: true, ..Style::default() }), format!("{head}=1|x,1000,false\n"));
}

#[test]
fn json_is_one_array_and_ndjson_one_object_a_line() {
    let objects = [r#"{"name":"a, \"b\"","n":5,"late":true}"#, r#"{"name":"=1|x","n":1000,"late":false}"#];
    assert_eq!(usual(Format::Json), format!("[\n{},\n{}\n]\n", objects[0], objects[1]));
    assert_eq!(usual(Format::Ndjson), format!("{}\n{}\n", objects[0], objects[1]));
    assert_eq!(written(Format::Json, &[], Style::default()), "[\n]\n");
}

#[test]
fn markdown_shows_what_means_something_to_it_as_it_is_and_aligns_numbers() {
    assert_eq!(usual(Format::Markdown), "| name | n | late |\n|---|---:|---|\n| a, \"b\" | 5 | true |\n| =1\\|x | 1000 | false |\n");
    for (plain, shown) in [("a_b*c`d", "a\\_b\\*c\\`d"), ("<b>&amp;", "&lt;b>&amp;amp;"), ("[x](y) ~$\\", "\\[x\\](y) \\~\\$\\\\")] {
        assert_eq!(literal(plain), shown);
    }
}

#[test]
fn a_table_is_aligned_with_numbers_to_the_right_and_nothing_behind_a_line() {
    let expected = "name    n     late\na, \"b\"     5  true\n=1|x    1000  false\n";
    assert_eq!(usual(Format::Table), expected);
    let bold = written(Format::Table, &rows(), Style { bold: true, ..Style::default() });
    assert_eq!(bold.lines().next(), Some("\u{1b}[1mname    n     late\u{1b}[0m"));
    let wide = [vec![text("株式"), Cell::Count(1), Cell::Flag(true)]];
    assert_eq!(written(Format::Table, &wide, Style::default()), "name  n  late\n株式  1  true\n", "two columns each");
}

#[test]
fn a_table_fits_the_terminal_as_long_as_columns_keep_five_characters() {
    let rows = [vec![text("abcdefghij"), Cell::Count(5), text("klmnopqrst")]];
    let of = |width| written(Format::Table, &rows, Style { width: Some(width), ..Style::default() });
    let whole = "name        n  late\nabcdefghij  5  klmnopqrst\n";
    assert_eq!((of(25).as_str(), of(80).as_str()), (whole, whole));
    assert_eq!(of(24).lines().nth(1).map(UnicodeWidthStr::width), Some(24));
    assert_eq!(of(15), "name   n  late\nabcd…  5  klmn…\n");
    assert_eq!(of(3), of(15));
    let mut widths = [10, 12];
    shrink(&mut widths, 20);
    assert_eq!(widths, [9, 9], "with a gap of two between them");
    assert_eq!((cut("株式会社", 5).as_ref(), cut("株式会社", 8).as_ref(), cut("abc", 2).as_ref()), ("株式…", "株式会社", "a…"));
}

#[test]
fn a_files_name_tells_its_format() {
    use Format::{Csv, Html, Json, Markdown, Ndjson, Table};
    let of = |suffix: &str| Format::of_name(&format!("a.b.{suffix}"));
    let formats = ["csv", "TXT", "json", "ndjson", "jsonl", "html", "htm", "md", "markdown"].map(of);
    assert_eq!(formats, [Csv, Table, Json, Ndjson, Ndjson, Html, Html, Markdown, Markdown].map(Some));
    assert_eq!([of("xlsx"), Format::of_name("csv")], [None; 2]);
}

/// Takes nothing.
struct Full(io::ErrorKind);
impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn who_has_seen_enough_is_no_failure_and_a_full_disk_is_one() {
    use io::ErrorKind::{BrokenPipe, StorageFull};
    assert!(until_closed(Err(BrokenPipe.into())).is_ok() && until_closed(Ok(())).is_ok());
    assert!(until_closed(Err(StorageFull.into())).is_err_and(|error| error.kind() == StorageFull));
    for kind in [BrokenPipe, StorageFull] {
        for format in [Format::Csv, Format::Json, Format::Ndjson, Format::Markdown, Format::Table] {
            let tried = write(format, &NAMES, || Box::new(rows().into_iter()), Style::default(), &mut Full(kind));
            assert_eq!(tried.expect_err("it takes nothing").kind(), kind, "{format:?}");
        }
    }
}
