"""One report, set as text and as HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from astro_magic.views.graph import chain, levels, svg
from astro_magic.views.html import html_block, set_html
from astro_magic.views.limits import LIMIT, limited
from astro_magic.views.report import Diff, Graph, Line, Listing, Node, Preformatted, Report, Span, Table, clean, line
from astro_magic.views.text import set_text, text_block
from astro_magic.views.words import count, duration, size, span_of_time

EVIL = "<script>alert('x')</script>\"&"


class Collector(HTMLParser):
    """Checks that elements are closed in order, and keeps what a browser would run or fetch."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.tags = set()
        self.attributes = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def parsed(html):
    collector = Collector()
    collector.feed(html)
    assert collector.open == []
    return collector


BLOCKS = [
    line(EVIL, Span(EVIL, "link", "https://example.com/?" + EVIL), Span(EVIL, "code"), Span(EVIL, "good")),
    Table((EVIL,), ((EVIL, Span(EVIL, "bad")),)),
    Diff(f"--- a\n+++ b\n@@ -1 +1 @@\n-{EVIL}\n+{EVIL}\n {EVIL}\n"),
    Preformatted((EVIL,)),
    Listing((EVIL,)),
    Graph((Node(EVIL, EVIL, ("b",)), Node("b")), EVIL),
    Graph(tuple(Node(f"{EVIL}{number}") for number in range(99)), EVIL),
]


@pytest.mark.parametrize("block", BLOCKS)
def test_every_value_is_escaped(block):
    html = set_html(Report((block,)))
    seen = parsed(html)
    assert "script" not in seen.tags
    assert "alert" in seen.text
    assert not any(name.startswith("on") for name, _ in seen.attributes)
    assert "alert" in set_text(Report((block,)))


def test_only_web_addresses_become_links():
    assert "<a " not in html_block(line(Span("x", "link", "javascript:alert(1)")))
    assert 'href="https://a.b"' in html_block(line(Span("x", "link", "https://a.b")))


def test_states_have_a_sign():
    html = html_block(Table(("state",), ((Span("failed", "bad"),), (Span("success", "good"),))))
    text = parsed(html).text
    assert "✗ failed" in text
    assert "✓ success" in text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("a\x08b\x00\r", "ab"),
        ("\u202eevil", "evil"),
        ("tab\tnew\n", "tab\tnew\n"),
    ],
)
def test_control_characters_are_taken_out(raw, shown):
    assert clean(raw) == shown


def test_table_text_is_aligned_also_for_wide_characters():
    table = Table(("name", "n"), (("東京", "1"), ("ab", "20")), "lr")
    assert list(text_block(table)) == ["  name    n", "  東京    1", "  ab     20"]


def test_diff_text():
    text = "--- requirements.txt\n+++ requirements.txt\n@@ -1,2 +1,2 @@\n # kept\n--- odd\n+++ odd\n"
    assert list(text_block(Diff(text))) == ["    # kept", "  - -- odd", "  + ++ odd"]


def test_graph_text():
    straight = (Node("a", "", ("b",)), Node("b", "", ("c",)), Node("c"))
    assert list(text_block(Graph(straight))) == ["  a ─→ b ─→ c"]
    branched = (Node("a", "", ("b", "c")), Node("b", "", ("d",)), Node("c", "", ("d",)), Node("d"))
    assert list(text_block(Graph(branched))) == ["  a ─→ b, c", "  b ─→ d", "  c ─→ d", "  d"]
    assert levels(branched) == [["a"], ["b", "c"], ["d"]]
    assert chain(branched) is None
    assert chain((Node("a"), Node("b"))) is None


def test_a_circle_ends():
    assert levels((Node("a", "", ("b",)), Node("b", "", ("a",))))


def test_graph_picture():
    drawn = svg(Graph((Node("a", "@task", ("b",)), Node("b")), "Tasks of x"), "blue")
    seen = parsed(drawn)
    assert seen.tags <= {"svg", "title", "g", "rect", "text", "path"}
    assert drawn.count("<rect") == 2


@pytest.mark.parametrize(
    "block",
    [
        Preformatted(tuple(f"line {number} <&>" for number in range(20_000))),
        Table(("a", "b"), tuple((f"row {number}", "<&>") for number in range(5_000))),
        Listing(tuple(f"name {number}" for number in range(9_000))),
        Diff("\n".join(f"+line {number}" for number in range(20_000))),
        Graph(tuple(Node(f"task_{number}") for number in range(9_000))),
    ],
)
def test_what_is_too_long_is_cut_with_a_note(block):
    report = Report((line("head"), block, line("tail")))
    small = limited(report, html_block)
    html = set_html(small)
    assert len(html.encode()) <= LIMIT
    assert "left out" in html
    assert "tail" in html
    parsed(html)


def test_of_output_the_end_is_kept():
    report = Report((Preformatted(tuple(f"line {number}." for number in range(20_000))),))
    text = set_text(limited(report, lambda block: "\n".join(text_block(block))))
    assert "line 19999." in text
    assert "line 0." not in text
    assert re.search(r"… [\d,]+ earlier lines left out", text)


def test_a_long_value_is_cut():
    assert len(set_text(Report((line("x" * 1_000_000),)))) == 2_000
    assert isinstance(Report.of(line("a"), None, [line("b")]).blocks[1], Line)


def test_words():
    assert [duration(value) for value in (0.04, 9.96, 59.7, 125, 7260)] == [
        "0.0 s",
        "10 s",
        "1 min",
        "2 min 5 s",
        "2 h 1 min",
    ]
    assert [size(value) for value in (None, 900, 1_400, 150_000_000, 1_200_000_000)] == [
        "",
        "900 B",
        "1 kB",
        "150 MB",
        "1.2 GB",
    ]
    assert [count(value, "process", "processes") for value in (1, 2_000)] == ["1 process", "2,000 processes"]
    assert span_of_time(None, None) == ""
