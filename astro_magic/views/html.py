"""Set a report as HTML: one element, inline styles only, no script, nothing from elsewhere.

Styles are inline because a notebook that is not trusted, and most viewers of saved notebooks, drop style sheets.
Colours are the surroundings' own with less opacity, and one accent, so that light and dark themes both work.
"""

from __future__ import annotations

from html import escape

from astro_magic.views.graph import svg
from astro_magic.views.report import Block, Cell, Diff, Graph, Line, Listing, Preformatted, Report, Span, Table, clean
from astro_magic.views.text import diff_lines, text_block

__all__ = ["html_block", "set_html", "wrap_html"]

_ACCENT = "var(--jp-content-link-color,#2f7fd6)"
_MONOSPACE = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"
_SCROLL = "overflow-x:auto;max-width:100%"
_RULE = "1px solid rgba(128,128,128,0.35)"
_BLOCK = f"margin:4px 0 4px 16px;{_SCROLL}"
_SIGNS = {"good": "✓", "bad": "✗"}
_STYLES = {
    "strong": "font-weight:600",
    "muted": "opacity:0.65",
    "bad": "font-weight:600",
}


def set_html(report: Report) -> str:
    """Set a report as one HTML element.

    Parameters
    ----------
    report : Report
        What to set.
    """
    return wrap_html("".join(html_block(block) for block in report.blocks))


def wrap_html(content: str) -> str:
    """Put blocks into the element that holds them."""
    return f'<div style="line-height:1.5;max-width:100%;text-align:left">{content}</div>'


def html_block(block: Block) -> str:
    """Set one block."""
    match block:
        case Line():
            margin = f"margin:0 0 0 {16 * block.indent}px" if block.indent else "margin:0"
            return f'<div style="{margin};overflow-wrap:anywhere">{"".join(_span(span) for span in block.spans)}</div>'
        case Table():
            return _table(block)
        case Diff():
            return _diff(block.text)
        case Preformatted():
            return _preformatted("\n".join(clean(line) for line in block.lines))
        case Listing():
            return _listing(block)
        case Graph():
            return _graph(block)


def _span(cell: Cell) -> str:
    span = Span(cell) if isinstance(cell, str) else cell
    text = escape(clean(span.text))
    if span.role == "code":
        return f'<code style="{_MONOSPACE};background:transparent;color:inherit;padding:0">{text}</code>'
    # Only web addresses become links: a javascript: address in a value must stay text.
    if span.role == "link" and span.href.startswith(("http://", "https://")):
        href = escape(clean(span.href))
        return f'<a href="{href}" target="_blank" rel="noopener noreferrer" style="color:{_ACCENT}">{text}</a>'
    if span.role in _SIGNS and text:
        colour = f"color:{_ACCENT}" if span.role == "good" else "font-weight:600"
        text = f'<span style="{colour}">{_SIGNS[span.role]}</span> {text}'
    style = _STYLES.get(span.role)
    return f'<span style="{style}">{text}</span>' if style else text


def _table(table: Table) -> str:
    def cell_style(column: int) -> str:
        side = "right" if table.alignment[column : column + 1] == "r" else "left"
        # A little space left of the first column would indent the table twice.
        left = "0" if column == 0 else "8px"
        return f"text-align:{side};padding:2px 16px 2px {left};vertical-align:top;border:0;background:transparent"

    head = "".join(
        f'<th style="{cell_style(number)};font-weight:600;border-bottom:{_RULE}">'
        f'<span style="opacity:0.75">{escape(clean(column))}</span></th>'
        for number, column in enumerate(table.columns)
    )
    body = "".join(
        '<tr style="background:transparent">'
        + "".join(f'<td style="{cell_style(number)}">{_span(cell)}</td>' for number, cell in enumerate(row))
        + "</tr>"
        for row in table.rows
    )
    return (
        f'<div style="{_BLOCK}"><table style="border-collapse:collapse;margin:0;border:0;color:inherit;'
        'font-size:inherit;font-variant-numeric:tabular-nums;width:auto">'
        + (f'<thead><tr style="background:transparent">{head}</tr></thead>' if head else "")
        + f"<tbody>{body}</tbody></table></div>"
    )


def _diff(text: str) -> str:
    lines = []
    for line in diff_lines(text):
        content = escape(clean(line))
        if line.startswith("+"):
            content = f'<span style="color:{_ACCENT};font-weight:600">{content}</span>'
        elif line.startswith("-"):
            content = f"<span>{content}</span>"
        else:
            content = f'<span style="opacity:0.6">{content}</span>'
        lines.append(content)
    return _pre("\n".join(lines))


def _preformatted(text: str) -> str:
    return _pre(escape(text))


def _pre(content: str) -> str:
    return (
        f'<pre style="{_BLOCK};{_MONOSPACE};font-size:0.92em;line-height:1.45;padding:0 0 0 10px;border:0;'
        f'border-left:2px solid rgba(128,128,128,0.35);background:transparent;color:inherit;white-space:pre">'
        f"{content}</pre>"
    )


def _listing(listing: Listing) -> str:
    items = "".join(f"<div>{_span(Span(item, 'code'))}</div>" for item in listing.items)
    grid = "display:grid;grid-template-columns:repeat(auto-fill,minmax(280px,1fr));column-gap:16px"
    return f'<div style="{_BLOCK};{grid}">{items}</div>'


def _graph(graph: Graph) -> str:
    picture = svg(graph, _ACCENT)
    if picture:
        return f'<div style="{_BLOCK}">{picture}</div>'
    return _pre(escape("\n".join(line.strip() for line in text_block(graph))))
