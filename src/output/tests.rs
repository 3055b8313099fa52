//! One small table in every form, by RFC 4180, RFC 8259, GitHub's Markdown and the width of a
//! terminal.

use unicode_width::UnicodeWidthStr;

use super::markdown::escape_markdown;
use super::table::{shrink_columns, truncate_text};
use super::*;

const COLUMN_NAMES: [&str; 3] = ["name", "n", "late"];

fn text_cell(text: &str) -> TableCell<'_> {
    TableCell::Text(text.into())
}

fn sample_rows() -> Vec<Vec<TableCell<'static>>> {
    vec![
        vec![
            text_cell("a, \"b\""),
            TableCell::Count(5),
            TableCell::Flag(true),
        ],
        vec![
            text_cell("=1|x"),
            TableCell::Count(1000),
            TableCell::Flag(false),
        ],
    ]
}

fn render_rows(
    format: OutputFormat,
    rows: &[Vec<TableCell<'static>>],
    style: TableStyle,
) -> String {
    let mut output = Vec::new();
    write_cells(
        format,
        &COLUMN_NAMES,
        || Box::new(rows.iter().cloned()),
        style,
        &mut output,
    )
    .expect("a vector takes it");
    String::from_utf8(output).expect("text")
}

fn render_default(format: OutputFormat) -> String {
    render_rows(format, &sample_rows(), TableStyle::default())
}

#[test]
fn csv_is_quoted_and_runs_no_formula_unless_it_is_raw() {
    let head = "name,n,late\n\"a, \"\"b\"\"\",5,true\n";
    assert_eq!(
        render_default(OutputFormat::Csv),
        format!("{head}'=1|x,1000,false\n")
    );
    assert_eq!(
        render_rows(
            OutputFormat::Csv,
            &sample_rows(),
            TableStyle {
                is_raw: true,
                ..TableStyle::default()
            }
        ),
        format!("{head}=1|x,1000,false\n")
    );
}

#[test]
fn json_is_one_array_and_ndjson_one_object_a_line() {
    let objects = [
        r#"{"name":"a, \"b\"","n":5,"late":true}"#,
        r#"{"name":"=1|x","n":1000,"late":false}"#,
    ];
    assert_eq!(
        render_default(OutputFormat::Json),
        format!("[\n{},\n{}\n]\n", objects[0], objects[1])
    );
    assert_eq!(
        render_default(OutputFormat::Ndjson),
        format!("{}\n{}\n", objects[0], objects[1])
    );
    assert_eq!(
        render_rows(OutputFormat::Json, &[], TableStyle::default()),
        "[\n]\n"
    );
}

#[test]
fn markdown_escapes_markup_and_aligns_numbers() {
    assert_eq!(
        render_default(OutputFormat::Markdown),
        "| name | n | late |\n|---|---:|---|\n| a, \"b\" | 5 | true |\n| =1\\|x | 1000 | false |\n"
    );
    for (plain, shown) in [
        ("a_b*c`d", "a\\_b\\*c\\`d"),
        ("<b>&amp;", "&lt;b>&amp;amp;"),
        ("[x](y) ~$\\", "\\[x\\](y) \\~\\$\\\\"),
    ] {
        assert_eq!(escape_markdown(plain), shown);
    }
}

#[test]
fn a_table_is_aligned_without_trailing_spaces() {
    let expected = "name    n     late\na, \"b\"     5  true\n=1|x    1000  false\n";
    assert_eq!(render_default(OutputFormat::Table), expected);
    let bold = render_rows(
        OutputFormat::Table,
        &sample_rows(),
        TableStyle {
            is_bold: true,
            ..TableStyle::default()
        },
    );
    assert_eq!(
        bold.lines().next(),
        Some("\u{1b}[1mname    n     late\u{1b}[0m")
    );
    let wide = [vec![
        text_cell("株式"),
        TableCell::Count(1),
        TableCell::Flag(true),
    ]];
    assert_eq!(
        render_rows(OutputFormat::Table, &wide, TableStyle::default()),
        "name  n  late\n株式  1  true\n",
        "two columns each"
    );
}

#[test]
fn a_table_fits_the_terminal_as_long_as_columns_keep_five_characters() {
    let rows = [vec![
        text_cell("abcdefghij"),
        TableCell::Count(5),
        text_cell("klmnopqrst"),
    ]];
    let of = |width| {
        render_rows(
            OutputFormat::Table,
            &rows,
            TableStyle {
                max_width: Some(width),
                ..TableStyle::default()
            },
        )
    };
    let whole = "name        n  late\nabcdefghij  5  klmnopqrst\n";
    assert_eq!((of(25).as_str(), of(80).as_str()), (whole, whole));
    assert_eq!(of(24).lines().nth(1).map(UnicodeWidthStr::width), Some(24));
    assert_eq!(of(15), "name   n  late\nabcd…  5  klmn…\n");
    assert_eq!(of(3), of(15));
    let mut widths = [10, 12];
    shrink_columns(&mut widths, 20);
    assert_eq!(widths, [9, 9], "with a gap of two between them");
    assert_eq!(
        (
            truncate_text("株式会社", 5).as_ref(),
            truncate_text("株式会社", 8).as_ref(),
            truncate_text("abc", 2).as_ref()
        ),
        ("株式…", "株式会社", "a…")
    );
}

#[test]
fn the_extension_of_a_file_selects_the_format() {
    use OutputFormat::{Csv, Html, Json, Markdown, Ndjson, Table};
    let of = |suffix: &str| OutputFormat::from_file_name(&format!("a.b.{suffix}"));
    let formats = [
        "csv", "TXT", "json", "ndjson", "jsonl", "html", "htm", "md", "markdown",
    ]
    .map(of);
    assert_eq!(
        formats,
        [
            Csv, Table, Json, Ndjson, Ndjson, Html, Html, Markdown, Markdown
        ]
        .map(Some)
    );
    assert_eq!([of("xlsx"), OutputFormat::from_file_name("csv")], [None; 2]);
}

/// Takes nothing.
struct FailingWriter(io::ErrorKind);
impl Write for FailingWriter {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_pipe_is_ignored_and_a_full_disk_is_an_error() {
    use io::ErrorKind::{BrokenPipe, StorageFull};
    assert!(
        ignore_broken_pipe(Err(BrokenPipe.into())).is_ok() && ignore_broken_pipe(Ok(())).is_ok()
    );
    assert!(
        ignore_broken_pipe(Err(StorageFull.into())).is_err_and(|error| error.kind() == StorageFull)
    );
    for kind in [BrokenPipe, StorageFull] {
        for format in [
            OutputFormat::Csv,
            OutputFormat::Json,
            OutputFormat::Ndjson,
            OutputFormat::Markdown,
            OutputFormat::Table,
        ] {
            let tried = write_cells(
                format,
                &COLUMN_NAMES,
                || Box::new(sample_rows().into_iter()),
                TableStyle::default(),
                &mut FailingWriter(kind),
            );
            assert_eq!(
                tried.expect_err("it takes nothing").kind(),
                kind,
                "{format:?}"
            );
        }
    }
}
