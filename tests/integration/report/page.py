"""Reads the report's page on stdin as any HTML parser would, and prints what it holds as JSON.

Fails where a tag is not closed, or closed in the wrong order; of a page by itself nothing may be left open.
"""

import base64
import hashlib
import json
import sys
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """The page as a flat list of texts, each with the elements around it."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.texts, self.ids = [], [], {}, set()

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(set(names)) == len(names), f"<{tag}> has an attribute twice"
        element = {"tag": tag, **dict(attributes), "number": len(self.elements)}
        if "id" in element:
            assert element["id"] not in self.ids, f"two elements are called {element['id']}"
            self.ids.add(element["id"])
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1]["tag"] == tag, f"</{tag}> closes <{self.open[-1]['tag']}>, at {self.getpos()}"
        self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            self.texts[element["number"]] = self.texts.get(element["number"], "") + data

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    def all(self, tag, **attributes):
        return [it for it in self.elements if it["tag"] == tag and attributes.items() <= it.items()]

    def text(self, element):
        return self.texts.get(element["number"], "").strip()

    def inside(self, outer):
        """The elements of a table's body, row by row."""
        start = self.elements.index(outer)
        end = next((place for place in range(start + 1, len(self.elements)) if self.elements[place]["tag"] == "table"), len(self.elements))
        rows = []
        for element in self.elements[start:end]:
            if element["tag"] == "tr":
                rows.append([])
            elif element["tag"] in ("td", "th") and rows:
                rows[-1].append(self.text(element))
        return rows


def sha256(text):
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


source = sys.stdin.buffer.read().decode()
page = Page()
page.feed(source)
page.close()
assert not page.open, f"not closed: {[it['tag'] for it in page.open]}"

between = lambda tag: [piece.split(f"</{tag}>")[0] for piece in source.split(f"<{tag}>")[1:]]
rows = page.all("table", id="rows")
print(json.dumps({
    "title": page.text(page.all("title")[0]),
    "policy": page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"],
    "styles": [sha256(text) for text in between("style")],
    "scripts": [sha256(text) for text in between("script")],
    "tags": sorted({it["tag"] for it in page.elements}),
    "attributes": sorted({name for it in page.elements for name in it} - {"tag", "number"}),
    "tiles": [[page.text(dt), *[it["value"] for it in page.elements[dt["number"] + 1:dt["number"] + 3] if it["tag"] == "data"]]
              for dt in page.all("dt")],
    "times": [it["datetime"] for it in page.all("time")],
    "notices": [page.text(it) for it in page.all("p") if "notice" in it.get("class", "")],
    "notes": [page.text(it) for it in page.all("p", **{"class": "note"})],
    "bars": [page.inside(table)[1:] for table in page.all("table", **{"class": "bars"})],
    "numbers": [page.inside(table) for table in page.all("table") if not table.keys() & {"id", "class"}],
    "head": page.inside(rows[0])[0] if rows else [],
    "rows": page.inside(rows[0])[1:] if rows else [],
}))
