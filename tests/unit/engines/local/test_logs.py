"""The logs of local processes."""

from __future__ import annotations

from astro_magic.engines.local.logs import read_logs
from astro_magic.engines.options import LogQuery


def test_following_ends_when_nobody_wants_more(tmp_path):
    (tmp_path / "scheduler.log").write_text("first\n", encoding="utf-8")
    asked = []

    def until():
        asked.append(1)
        if len(asked) == 1:
            with (tmp_path / "scheduler.log").open("a", encoding="utf-8") as log:
                log.write("second\nunfini")
        return len(asked) > 2

    lines = read_logs(tmp_path, ["scheduler"], LogQuery(follow=True, until=until))
    assert [line.text for line in lines] == ["first", "second"]
