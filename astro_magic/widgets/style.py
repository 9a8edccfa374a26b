"""How a panel looks: the notebook's own colours, one accent, no boxes."""

from __future__ import annotations

__all__ = ["LIVE", "PANEL", "kept_style", "panel_style"]

#: Class of the element that holds a panel.
PANEL = "astro-magic-panel"
#: Class of a panel's element as long as a kernel answers; the front end adds the other one when none does any more.
LIVE = f".{PANEL}:not(.jupyter-widgets-disconnected)"

_TEXT = "var(--jp-ui-font-color1,inherit)"
_ACCENT = "var(--jp-content-link-color,#2f7fd6)"
_RULE = "1px solid var(--jp-border-color2,rgba(128,128,128,0.35))"

# Twice the same class: these rules have to weigh more than those of the widgets, which name four.
_P = f".{PANEL}.{PANEL}.{PANEL}"
_RULES = f"""
{_P}{{color:{_TEXT};padding:2px 0;overflow:visible;max-width:100%}}
{_P} .widget-html,{_P} .widget-html-content{{color:inherit;margin:0;line-height:1.5;height:auto;font-size:13px}}
{_P} .widget-html-content>div>div:has(>table){{margin-left:0!important}}
{_P} .widget-hbox,{_P} .widget-vbox{{overflow:visible}}
{_P} .jupyter-button{{border:{_RULE};border-radius:3px;background:transparent;color:{_TEXT};width:auto;min-width:76px;
margin:2px 8px 2px 0;box-shadow:none}}
{_P} .jupyter-button:hover:enabled{{border-color:{_ACCENT};box-shadow:none}}
{_P} .jupyter-button:focus-visible{{outline:2px solid {_ACCENT};outline-offset:1px}}
{_P} .jupyter-button:disabled{{opacity:0.4}}
{_P} .jupyter-button.mod-primary,{_P} .jupyter-button.mod-active{{background:transparent;border-color:{_ACCENT};
color:{_ACCENT};font-weight:600}}
{_P} .{PANEL}-buttons{{margin:4px 0 2px 0}}
{_P} .{PANEL}-tabs{{margin:6px 0 0 0;overflow:visible}}
{_P} .{PANEL}-tabs>.lm-TabBar{{border:0;margin:0;min-height:28px;overflow:visible}}
{_P} .{PANEL}-tabs>.lm-TabBar .lm-TabBar-content{{border:0;align-items:flex-end}}
{_P} .{PANEL}-tabs>.lm-TabBar .lm-TabBar-tab{{border:0;background:transparent;color:inherit;opacity:0.7;flex:0 0 auto;
min-width:0;max-width:none;min-height:0;margin:0 20px 0 0;padding:0;line-height:26px;transform:none}}
{_P} .{PANEL}-tabs>.lm-TabBar .lm-TabBar-tab::before{{display:none}}
{_P} .{PANEL}-tabs>.lm-TabBar .lm-TabBar-tab:hover{{background:transparent;opacity:1}}
{_P} .{PANEL}-tabs>.lm-TabBar .lm-TabBar-tab:focus-visible{{outline:2px solid {_ACCENT};outline-offset:1px}}
{_P} .{PANEL}-tabs>.lm-TabBar .lm-TabBar-tab.lm-mod-current{{opacity:1;font-weight:600;
box-shadow:inset 0 -2px 0 {_ACCENT}}}
{_P} .{PANEL}-tabs>.widget-tab-contents{{border:0;border-top:{_RULE};margin:0;padding:6px 0 0 0;
background:transparent;color:inherit;overflow:visible}}
{_P} .{PANEL}-controls{{flex-flow:row wrap}}
{_P} .{PANEL}-controls .widget-label{{width:auto;min-width:0;margin-right:8px;color:inherit}}
{_P} .{PANEL}-controls>*{{margin-right:16px}}
{_P} .{PANEL}-controls .jupyter-button{{margin-right:8px}}
{_P} .widget-label,{_P} .widget-label-basic{{color:inherit}}
{_P} .{PANEL}-rows{{max-height:420px;overflow:auto;margin:2px 0 0 0}}
{_P} .{PANEL}-rows .widget-html{{overflow:visible;flex:0 0 auto}}
{_P} .{PANEL}-rows .widget-html-content>div>div:has(>table){{overflow:visible!important;max-width:none!important;
margin-top:0!important}}
{_P} .{PANEL}-rows td,{_P} .{PANEL}-rows th{{padding-right:10px!important}}
{_P} .{PANEL}-rows td{{max-width:160px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}}
{_P} .{PANEL}-rows td:nth-last-child(-n+2){{max-width:220px;white-space:normal;overflow-wrap:break-word}}
{_P} .{PANEL}-rows th{{position:sticky;top:0;white-space:nowrap;background:var(--jp-layout-color0,Canvas)!important}}
{_P} .{PANEL}-form{{border-left:2px solid {_ACCENT};padding:2px 0 2px 14px;margin:6px 0 8px 2px}}
{_P} .{PANEL}-form .widget-label{{text-align:left;opacity:0.8}}
{_P} .{PANEL}-form textarea{{font-family:var(--jp-code-font-family,ui-monospace,Menlo,Consolas,monospace);
font-size:12px}}
{_P} .{PANEL}-form-buttons{{margin:4px 0 0 0}}
{_P} .{PANEL}-form [role=alert]{{margin:2px 0 0 0}}
{_P} .{PANEL}-log{{display:flex;flex-direction:column-reverse;height:320px;overflow:auto;margin:4px 0 0 0}}
{_P} .{PANEL}-log>*{{margin-bottom:auto}}
{_P} .{PANEL}-log pre{{margin:0;padding:0;background:transparent;color:inherit;white-space:pre-wrap;
overflow-wrap:anywhere;font-family:var(--jp-code-font-family,ui-monospace,Menlo,Consolas,monospace);font-size:12px;
line-height:1.45}}
"""


def panel_style() -> str:
    """Give the style sheet that a panel brings along."""
    return f"<style>{_RULES}</style>"


def kept_style(key: str) -> str:
    """Give the style sheet that shows either a panel or what is kept of it.

    The kept output stands right before that of the widget. It is hidden while the panel lives. Where it does not, the
    widget's output is: it would only say that its model was not found. A viewer that drops style sheets shows both,
    of which the widget's holds nothing to show.

    Parameters
    ----------
    key : str
        Class of the kept output, and beside `PANEL` of the panel itself.
    """
    live = f"{LIVE}.{key}"
    return (
        f"<style>body:has({live}) .{key}-kept{{display:none}}"
        f"body:has({live}) .jp-OutputArea-child:has(.{key}-kept){{display:none}}"
        f".jp-OutputArea-child:has(.{key}-kept)+.jp-OutputArea-child:not(:has({live})){{display:none}}</style>"
    )
