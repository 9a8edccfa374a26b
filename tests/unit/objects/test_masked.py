"""Texts with secrets while they are edited: what is shown has none, what is saved has those that were not touched."""

from __future__ import annotations

import json

import pytest

from astro_magic.errors import InvalidContentError
from astro_magic.objects.masked import MaskedDraft
from astro_magic.system.secrets import MASK

SECRET = "planted-4711"
STORED = json.dumps({"region": "eu", "token": SECRET, "deep": {"password": SECRET}, "url": f"http://me:{SECRET}@db/x"})


def extra(text=STORED):
    return MaskedDraft(text, "The extra", json_object=True)


def after(draft, edit):
    """Take what somebody makes of the shown JSON, and give what is kept."""
    tree = json.loads(draft.shown)
    draft.take(json.dumps(edit(tree) or tree, ensure_ascii=False))
    assert SECRET not in draft.shown
    return json.loads(draft.text())


def test_what_is_shown_has_no_secret_and_is_no_change():
    draft = extra()
    assert SECRET not in draft.shown
    assert json.loads(draft.shown)["region"] == "eu"
    assert not draft.changed
    draft.take(draft.shown)
    assert not draft.changed
    assert draft.text() == STORED


def test_masks_stand_for_what_was_there_whatever_is_changed_around_them():
    kept = json.loads(STORED)
    assert after(extra(), lambda tree: tree.update(region="us")) == {**kept, "region": "us"}
    assert after(extra(), lambda tree: {"token": tree["token"]}) == {"token": SECRET}
    assert after(extra(), lambda tree: tree.update(deep={**tree["deep"], "more": True})) == {
        **kept,
        "deep": {"password": SECRET, "more": True},
    }


def test_a_new_secret_is_hidden_at_once_and_kept():
    draft = extra()
    assert after(draft, lambda tree: tree.update(token="another-4711"))["token"] == "another-4711"
    assert "another-4711" not in draft.shown
    assert after(draft, lambda tree: tree.update(region="us"))["token"] == "another-4711"
    assert draft.changed


def test_what_has_nothing_to_hide_stays_as_it_was_typed():
    draft = extra("")
    draft.take('{"a":1,   "b": 2}')
    assert (draft.shown, draft.text()) == ('{"a":1,   "b": 2}',) * 2
    draft.take("")
    assert (draft.text(), draft.changed) == ("", False)


@pytest.mark.parametrize(
    "edit",
    [
        lambda tree: {**tree, "other": MASK},
        lambda tree: {**tree, "region": MASK},
        lambda tree: {**tree, "url": tree["url"].replace("db", "elsewhere")},
        lambda tree: {"renamed": tree["deep"]},
    ],
)
def test_a_mask_where_no_secret_was_is_refused(edit):
    with pytest.raises(InvalidContentError, match="where no hidden value is known any more"):
        after(extra(), edit)


def test_in_a_list_a_mask_that_was_moved_is_refused():
    stored = json.dumps({"hosts": [{"name": "a", "token": "one-4711"}, {"name": "b", "token": "two-4711"}]})
    assert after(extra(stored), lambda tree: tree.update(more=1))["hosts"] == json.loads(stored)["hosts"]
    new = {"name": "c"}
    kept = after(extra(stored), lambda tree: tree.update(hosts=[tree["hosts"][0], new]))
    assert kept["hosts"] == [{"name": "a", "token": "one-4711"}, new]
    for order in (lambda hosts: hosts[::-1], lambda hosts: hosts[1:], lambda hosts: [new, *hosts]):
        with pytest.raises(InvalidContentError, match="hidden value"):
            after(extra(stored), lambda tree, order=order: tree.update(hosts=order(tree["hosts"])))


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ('{"token": "fresh-4711", "region": "us",}', "is no JSON: "),
        ('{"token": "fresh-4711" "region": "us"}', "is no JSON: "),
        ('{"region": "us", "token": "fresh-4711', "is no JSON: "),
        ("{'region': 'us', 'token': 'fresh-4711'}", "is no JSON: "),
        ('{"region": "us", "token": fresh-4711}', "is no JSON: "),
    ],
)
def test_what_is_no_json_is_told_of_hides_its_secrets_and_keeps_them(typed, why):
    draft = extra()
    draft.take(typed)
    assert draft.shown == typed.replace("fresh-4711", MASK)
    assert draft.changed
    with pytest.raises(InvalidContentError) as raised:
        draft.text()
    assert why in raised.value.message
    assert "4711" not in f"{raised.value.message}{raised.value.hint}"
    draft.take(f'{{"region": "us", "token": "{MASK}"}}')
    assert json.loads(draft.text()) == {"region": "us", "token": "fresh-4711"}


@pytest.mark.parametrize("typed", ["[1]", "3", '"text"'])
def test_an_extra_is_an_object(typed):
    draft = extra()
    draft.take(typed)
    with pytest.raises(InvalidContentError, match="is JSON, but no object"):
        draft.text()


def test_a_key_that_was_pasted_with_its_line_feeds():
    draft = extra("")
    draft.take('{"private_key": "-----BEGIN\nabc\n-----END"}')
    assert json.loads(draft.text()) == {"private_key": "-----BEGIN\nabc\n-----END"}
    assert "abc" not in draft.shown


def test_true_is_not_one():
    draft = extra('{"a": 1, "token": "x-4711"}')
    assert after(draft, lambda tree: tree.update(a=True))["a"] is True


def test_another_text_than_json():
    draft = MaskedDraft(f"postgres://me:{SECRET}@db/x", "The value")
    assert draft.shown == f"postgres://{MASK}@db/x"
    draft.take("plain")
    assert (draft.shown, draft.text(), draft.changed) == ("plain", "plain", True)
    draft.take(f"postgres://me:{SECRET}@db/y")
    assert (draft.shown, draft.text()) == (f"postgres://{MASK}@db/y", f"postgres://me:{SECRET}@db/y")
    draft.take(f"postgres://{MASK}@db/z")
    with pytest.raises(InvalidContentError, match="The value has"):
        draft.text()
    assert draft.shown == f"postgres://{MASK}@db/z"
