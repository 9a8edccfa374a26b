"""What is read from the metadata of what is installed."""

from __future__ import annotations

from astro_magic.engines.inside.distributions import read_os_packages
from astro_magic.engines.installation import packages_in


def install(folder, name, metadata, record="", **files):
    about = folder / name
    about.mkdir(parents=True)
    (about / "METADATA").write_text(metadata)
    if record:
        (about / "RECORD").write_text("".join(f"{path},,\n" for path in record.split()))
    for file, text in files.items():
        (about / file.replace("__", ".")).write_text(text)


def test_a_distribution(tmp_path):
    metadata = (
        "Metadata-Version: 2.1\nName: Some.Tool\nVersion: 1.2\nLicense: MIT\n        \n        more\n"
        "Requires-Dist: numpy (>=1.2)\nRequires-Dist: pytest ; extra == 'test'\n\nRequires-Dist: of the README\n"
    )
    record = (
        "some_tool/__init__.py some_tool/part/__init__.py single.py native.cpython-312-x86_64-linux-gnu.so "
        "google/cloud/tool/__init__.py google/type/a_pb2.py google/type/b_pb2.py ../../bin/some-tool "
        "some_tool-1.2.dist-info/RECORD some_tool/__pycache__/x.cpython-312.pyc data-files/setup.py"
    )
    install(tmp_path, "Some.Tool-1.2.dist-info", metadata, record, direct_url__json="{}")
    (found,) = packages_in([str(tmp_path)]).items()
    key, package = found
    assert (key, package.name, package.version, package.direct) == ("some-tool", "Some.Tool", "1.2", True)
    assert package.requires == ("numpy (>=1.2)", "pytest ; extra == 'test'")
    assert package.imports == ("google.cloud.tool", "google.type", "native", "single", "some_tool")


def test_the_first_of_two_counts_and_what_has_no_name_is_left_out(tmp_path):
    for folder, version in (("first", "2.0"), ("second", "1.0")):
        install(tmp_path / folder, f"tool-{version}.dist-info", f"Name: tool\nVersion: {version}\n")
    install(tmp_path / "second", "broken-1.dist-info", "")
    install(tmp_path / "second", "old-1.dist-info", "Name: old\nVersion: 1\n", top_level__txt="old_module\n")
    found = packages_in([str(tmp_path / "first"), str(tmp_path / "second")])
    assert {name: package.version for name, package in found.items()} == {"tool": "2.0", "old": "1"}
    assert found["old"].imports == ("old_module",)


def test_debian_packages(tmp_path):
    status = tmp_path / "status"
    status.write_text(
        "Package: mawk\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.3.4\n"
        "Provides: awk, other (= 1)\nDescription: words\n A: more\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n"
        "Package: tzdata\nStatus: install ok installed\nArchitecture: all\nVersion: 2026a\n"
    )
    assert read_os_packages(str(status)) == {
        "mawk:amd64": "1.3.4",
        "tzdata:all": "2026a",
        "awk": "mawk 1.3.4",
        "other": "mawk 1.3.4",
    }
    assert read_os_packages(str(tmp_path / "none")) == {}
