"""Checks the report's pages in a real Chromium; run.sh makes them, and PAGES names their folder. Without Chromium it fails."""

import json
import os
import sys
import unittest
from pathlib import Path

from browser import Browser
from seed import HOSTILE

PAGES = Path(os.environ["PAGES"])
NAMES = sorted(path.stem for path in PAGES.glob("*.html"))
# The cells of a column, as they are shown.
COLUMN = "Array.from(document.querySelectorAll('#rows tbody tr'), row => row.cells[%d].textContent)"
STATUS = "document.getElementById('status').textContent"
# Text and what it stands on, wherever something is written: the least contrast (WCAG 2, 1.4.3) and where it is.
CONTRAST = """(() => {
  const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, place) => sum + c * [0.2126, 0.7152, 0.0722][place], 0);
  const ground = (it) => { for (; it; it = it.parentElement) {
    const color = parse(getComputedStyle(it).backgroundColor); if (color.length && color[3] !== 0) return color; } return [255, 255, 255]; };
  let least = [99, ""];
  for (const it of document.body.querySelectorAll("*")) {
    if (!Array.from(it.childNodes).some((node) => node.nodeType === 3 && node.data.trim()) || !it.getClientRects().length) continue;
    if (it.closest("script, title, .unseen, svg rect")) continue;
    const style = getComputedStyle(it);
    const [a, b] = [light(parse(it.closest("svg") ? style.fill : style.color)), light(ground(it))].sort((a, b) => b - a);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < least[0]) least = [ratio, it.outerHTML.slice(0, 200)];
  }
  return least;
})()"""
# What is to be seen of a page as it is scrolled: whether something sticks out to the right.
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def setUpModule():
    """One Chromium for all."""
    global chromium
    chromium = unittest.enterModuleContext(Browser())


class Case(unittest.TestCase):
    """Opens pages, and expects of each that it asked for nothing and complained of nothing."""

    def open(self, name, **view):
        path = PAGES / f"{name}.html"
        tab = chromium.open(path, **view)
        self.addCleanup(self.quiet, tab, path)
        return tab

    def quiet(self, tab, path):
        self.assertEqual(tab.requests(), [path.resolve().as_uri()])
        self.assertEqual(tab.complaints(), [])
        tab.close()


class Content(Case):
    """What the page says."""

    def test_tiles_show_the_numbers_of_the_summary(self):
        for name in NAMES:
            lines = json.loads((PAGES / f"{name}.json").read_text())
            shown = self.open(name).evaluate("Array.from(document.querySelectorAll('.tiles data'), it => [it.value, it.textContent])")
            total = [line for line in lines if line["group"] == "total"]
            expected = [[str(line[it]), f"{line[it]:,}"] for line in total for it in ("deployments", "customers", "users", "configs")]
            self.assertEqual(shown, expected, name)

    def test_charts_are_drawn(self):
        for name in set(NAMES) - {"empty"}:
            tab = self.open(name)
            sizes = tab.evaluate("Array.from(document.querySelectorAll('.plot .bar'), it => { const b = it.getBBox(); return [b.width, b.height]; })")
            self.assertTrue(sizes and all(width > 1 and height > 0 for width, height in sizes), name)
            self.assertTrue(365 <= tab.evaluate("document.querySelectorAll('.calendar rect').length") <= 371, name)
            colors = tab.evaluate("new Set(Array.from(document.querySelectorAll('.calendar rect'), it => getComputedStyle(it).fill)).size")
            self.assertGreater(colors, 1, name)

    def test_labels_of_the_charts_do_not_overlap(self):
        for width in (1280, 700, 390):
            for name in set(NAMES) - {"empty", "large"}:
                boxes = self.open(name, width=width).evaluate(
                    "['.plot', '.calendar'].map(chart => Array.from(document.querySelectorAll(chart + ' text'), it => it.getBoundingClientRect())"
                    ".filter(box => box.width).map(box => [box.left, box.right]))"
                )
                for labels in boxes:
                    for (_, right), (left, _) in zip(labels, labels[1:]):
                        self.assertLess(right + 4, left, f"{name} at {width}")

    def test_hostile_text_stays_text(self):
        tab = self.open("hostile")
        self.assertIsNone(tab.evaluate("window.hacked"))
        self.assertEqual(tab.evaluate("document.querySelectorAll('img, h1:not(header h1), iframe, script').length"), 1)
        cells = tab.evaluate("Array.from(document.querySelectorAll('#rows td'), it => it.textContent)")
        for text in HOSTILE:
            self.assertIn("".join("\ufffd" if c in "\0\u202e" else c for c in text), cells)
        self.assertIn("3 records could not be used", tab.evaluate("document.querySelector('.alert').textContent"))

    def test_what_gets_into_a_page_all_the_same_is_stopped_and_seen(self):
        path = PAGES / "broken-into.htm"
        intruders = "<script>window.hacked = 1</script><p onclick='window.hacked = 1' style='color: red'>x</p><img src='http://127.0.0.1:9/x'>"
        path.write_text((PAGES / "usual.html").read_text().replace("<footer>", f"{intruders}<footer>"))
        tab = chromium.open(path)
        self.assertIsNone(tab.evaluate("window.hacked"))
        words = json.dumps(tab.complaints())
        self.assertTrue(all(it in words for it in ("script-src", "style-src", "default-src", "127.0.0.1:9")), words)
        tab.close()

    def test_an_empty_report_says_so(self):
        self.assertIn("There are no deployments", self.open("empty").evaluate("document.querySelector('main').innerText"))

    def test_everything_can_be_read_without_scripts(self):
        tab = self.open("large", scripts=False)
        self.assertEqual(tab.evaluate("document.querySelectorAll('#rows tbody tr').length"), 10_000)
        self.assertIn("newest 10,000 of 12,001 rows", tab.evaluate("document.querySelector('[aria-labelledby=rows-title] .note').innerText"))
        self.assertEqual(tab.evaluate("Array.from(document.querySelectorAll('input, button'), it => it.getClientRects().length).join()"), "0,0,0")


class Table(Case):
    """Sorting, filtering and turning pages."""

    def test_it_sorts_by_click_and_by_key(self):
        tab = self.open("usual")
        sorted_by = lambda: tab.evaluate("Array.from(document.querySelectorAll('#rows th[aria-sort]'), it => [it.textContent, it.ariaSort])")
        self.assertEqual(sorted_by(), [["Timestamp", "descending"]])
        tab.click("#rows th:nth-child(4) button")
        self.assertEqual(sorted_by(), [["Additional users count", "ascending"]])
        counts = tab.evaluate(COLUMN % 3)
        self.assertEqual(counts, sorted(counts, key=int))
        self.assertEqual(counts[0], "1")
        for key, order in ((" ", "descending"), ("Enter", "ascending"), ("Enter", "descending")):
            tab.press(key)
            self.assertEqual(sorted_by(), [["Additional users count", order]])
            self.assertEqual(tab.evaluate("document.activeElement.textContent"), "Additional users count")
        self.assertEqual(tab.evaluate(COLUMN % 3)[0], "39")
        tab.click("#rows th:nth-child(2) button")
        self.assertEqual(set(tab.evaluate(COLUMN % 1)), {"acme"})

    def test_it_filters_all_columns_and_counts(self):
        tab = self.open("usual")
        rows = tab.evaluate("document.querySelector('[aria-labelledby=rows-title] .note').textContent").split(": ")[1].rstrip(".")
        self.assertEqual(tab.evaluate(STATUS), f"{rows}, 1 to 50 shown")
        tab.click("#filter")
        tab.type("ACME-eu jane 2026-11")
        found = tab.evaluate("Array.from(document.querySelectorAll('#rows tbody tr'), it => it.textContent)")
        self.assertTrue(found and all("acme-eu" in it and "jane" in it and "2026-11" in it for it in found))
        self.assertEqual(tab.evaluate(STATUS), f"{len(found)} of {rows}")
        self.assertTrue(tab.evaluate("document.querySelector('nav').hidden"))
        tab.type(" nowhere")
        self.assertEqual(tab.evaluate(STATUS), f"0 of {rows}")
        tab.press("Escape")
        self.assertEqual(tab.evaluate(STATUS), f"{rows}, 1 to 50 shown")

    def test_its_pages_turn(self):
        tab = self.open("usual")
        first = tab.evaluate("document.querySelector('#rows tbody').textContent")
        tab.click("#previous")
        self.assertEqual(tab.evaluate("document.querySelector('#rows tbody').textContent"), first)
        tab.click("#next")
        self.assertIn(", 51 to 100 shown", tab.evaluate(STATUS))
        tab.press("Enter")
        self.assertIn(", 101 to 150 shown", tab.evaluate(STATUS))
        tab.click("#previous")
        tab.click("#previous")
        self.assertEqual(tab.evaluate("document.querySelector('#rows tbody').textContent"), first)

    def test_ten_thousand_rows_sort_and_filter_at_once(self):
        tab = self.open("large")
        took = tab.evaluate("""(async () => {
            const times = [];
            const time = async (act) => { const start = performance.now(); act(); document.body.offsetHeight; times.push(performance.now() - start); };
            for (const head of [1, 0, 3, 8]) await time(() => document.querySelectorAll('#rows th button')[head].click());
            const filter = document.getElementById('filter');
            for (const text of ['a', 'air', 'airbnb']) await time(() => { filter.value = text; filter.dispatchEvent(new Event('input')); });
            return times.map(Math.round);
        })()""")
        print(f"10,000 rows of 17 columns: sorted in {took[:4]} ms, filtered in {took[4:]} ms", file=sys.stderr)
        self.assertLess(max(took), 2000)


class Views(Case):
    """Screens, colours and paper."""

    def test_a_phone_scrolls_the_table_and_not_the_page(self):
        for name in NAMES:
            tab = self.open(name, width=360, height=740)
            self.assertEqual(tab.evaluate(OVERFLOW), 0, name)
            tab.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true; })")
            self.assertEqual(tab.evaluate(OVERFLOW), 0, name)
        tab = self.open("large", width=360, height=740)
        region = "document.querySelector('.rows')"
        self.assertTrue(tab.evaluate(f"{region}.scrollWidth > {region}.clientWidth && {region}.tabIndex === 0"))
        self.assertGreater(tab.evaluate("document.getElementById('calendar').scrollLeft"), 0, "the newest week is to be seen")

    def test_text_has_contrast_in_light_and_dark(self):
        grounds = []
        for dark in (False, True):
            for name in ("usual", "hostile", "totals"):
                tab = self.open(name, dark=dark)
                ratio, where = tab.evaluate(CONTRAST)
                self.assertGreaterEqual(ratio, 4.5, where)
            grounds.append(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
        self.assertNotEqual(*grounds)

    def test_paper_is_light_and_has_charts_but_no_controls(self):
        tab = self.open("usual", dark=True)
        tab.emulate(dark=True, media="print")
        self.assertEqual(tab.evaluate("getComputedStyle(document.querySelector('section')).backgroundColor"), "rgb(255, 255, 255)")
        self.assertGreaterEqual(tab.evaluate(CONTRAST)[0], 4.5)
        seen = lambda what: tab.evaluate(f"Array.from(document.querySelectorAll('{what}')).filter(it => it.getClientRects().length).length")
        self.assertEqual([seen(it) for it in ("input", "nav button", "details", ".skip")], [0, 0, 0, 0])
        self.assertEqual([seen(it) for it in (".plot", ".calendar", "#status")], [1, 1, 1])
        self.assertTrue(tab.pdf().startswith(b"%PDF-"))


class Access(Case):
    """For the keyboard and for screen readers."""

    def test_everything_is_reached_by_keyboard_and_shows_the_focus(self):
        tab = self.open("usual")
        focused = "(it => [it.id || it.textContent.trim(), getComputedStyle(it).outlineStyle, it.getBoundingClientRect().left >= 0])(document.activeElement)"
        reached = []
        while len(reached) < 40:
            tab.press("Tab")
            name, outline, visible = tab.evaluate(focused)
            if tab.evaluate("document.activeElement === document.body"):
                break
            self.assertEqual((outline, visible), ("solid", True), name)
            reached.append(name)
        self.assertEqual(reached[0], "Skip to the content")
        self.assertEqual(reached[1:4], ["The numbers", "calendar", "The numbers"])
        self.assertEqual([reached[4], *reached[-2:]], ["filter", "previous", "next"])
        self.assertEqual(len(reached), 14, reached)

    def test_the_skip_link_leads_to_the_content(self):
        tab = self.open("usual")
        tab.press("Tab")
        tab.press("Enter")
        self.assertEqual(tab.evaluate("document.activeElement.id"), "main")

    def test_everything_that_needs_a_name_has_one(self):
        needs = {"button", "searchbox", "textbox", "link", "image", "img", "region", "navigation", "table", "columnheader", "rowheader", "DisclosureTriangle"}
        for name in NAMES:
            nodes = self.open(name).call("Accessibility.getFullAXTree")["nodes"]
            named = [(it["role"]["value"], it.get("name", {}).get("value", "")) for it in nodes if not it["ignored"]]
            self.assertEqual([role for role, text in named if role in needs and not text.strip()], [], name)
            roles = {role for role, _ in named}
            if name != "empty":
                self.assertLessEqual({"button", "searchbox", "link", "region", "table", "columnheader", "rowheader", "status", "main", "banner"}, roles)

    def test_tables_and_headings_are_in_order(self):
        for name in NAMES:
            tab = self.open(name)
            self.assertEqual(tab.evaluate("document.querySelectorAll('th:not([scope])').length"), 0)
            self.assertTrue(tab.evaluate("Array.from(document.querySelectorAll('table')).every(it => it.caption && it.caption.textContent)"))
            self.assertTrue(tab.evaluate("Array.from(document.querySelectorAll('svg')).every(it => it.ariaHidden === 'true' || it.role === 'img' && it.ariaLabel)"))
            self.assertEqual(tab.evaluate("document.querySelectorAll('h1').length"), 1)
            self.assertEqual(tab.evaluate("document.documentElement.lang"), "en")


if __name__ == "__main__":
    unittest.main(verbosity=2)
