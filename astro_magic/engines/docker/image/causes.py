"""What made a step of a build fail, recognised by the words of pip, uv, apt, compilers, registries and BuildKit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Cause", "base_image_cause", "step_cause"]

_NETWORK = re.compile(
    r"no such host|i/o timeout|network is unreachable|server misbehaving|TLS handshake timeout|proxyconnect|"
    r"Temporary failure (?:in name resolution|resolving)|Could not resolve|Name or service not known|"
    r"NewConnectionError|ConnectTimeout|ReadTimeoutError|ProxyError|NameResolutionError|Connection timed out|"
    r"connection refused|dns error|error sending request|failed to lookup address|Failed to establish a new connection",
    re.IGNORECASE,
)
_UNTRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED|x509: |UnknownIssuer|invalid peer certificate", re.IGNORECASE)
_NETWORK_HINT = "Check the network and the proxy; HTTP_PROXY and HTTPS_PROXY can be given with --build-arg."

#: Why a base image could not be had, by the words of its registry.
_REGISTRY = (
    (
        _NETWORK.pattern,
        "the image {} is not on this engine, and its registry cannot be reached",
        "Check the image's name, and the network and proxy of the engine. One that is on the engine needs neither.",
    ),
    (
        _UNTRUSTED.pattern,
        "the registry of the image {} is not trusted by this engine",
        "Give the engine the certificate of the authority that signed the registry's.",
    ),
    (
        r"toomanyrequests|rate limit",
        "the registry of the image {} refuses more downloads for now",
        "Wait, or log in with docker login.",
    ),
    (
        r"pull access denied|insufficient_scope|unauthorized|authorization failed|403 Forbidden|denied:",
        "there is no image {}, or this user may not have it",
        "Check the image's name in the Dockerfile; docker login gives access to a private one.",
    ),
    (
        r"no match(?:ing manifest)? for platform",
        "there is no image {} for this platform",
        "Choose another with --platform.",
    ),
    (r"not found|manifest unknown", "there is no image {}", "Check the image's name and tag in the Dockerfile."),
)

#: What a compiler or a build script misses, and the Debian package that has it.
_DEBIAN = (
    (r"sql(?:ext)?\.h", "unixodbc-dev"),
    (r"pg_config|libpq-fe\.h|postgres\.h", "libpq-dev"),
    (r"mysql_config|mysql\.h|Can not find valid pkg-config name", "default-libmysqlclient-dev"),
    (r"Python\.h", "python3-dev"),
    (r"ffi\.h", "libffi-dev"),
    (r"openssl/\w+\.h", "libssl-dev"),
    (r"lber\.h|ldap\.h", "libldap2-dev"),
    (r"sasl/sasl\.h|sasl\.h", "libsasl2-dev"),
    (r"krb5-config|gssapi(?:/\w+)?\.h|krb5\.h", "libkrb5-dev"),
    (r"libxml/\w+\.h|xml2-config", "libxml2-dev"),
    (r"libxslt/\w+\.h|xslt-config", "libxslt1-dev"),
    (r"sqlfront\.h|sybdb\.h", "freetds-dev"),
    (r"snappy(?:-c)?\.h", "libsnappy-dev"),
    (r"zlib\.h", "zlib1g-dev"),
    (r"jpeglib\.h", "libjpeg-dev"),
    (r"curl/curl\.h|curl-config", "libcurl4-openssl-dev"),
    (r"geos_c\.h|geos-config", "libgeos-dev"),
    (r"gdal-config|gdal\.h", "libgdal-dev"),
    (r"librdkafka/rdkafka\.h", "librdkafka-dev"),
    (r"magic\.h", "libmagic-dev"),
    (r"re2/re2\.h", "libre2-dev"),
    (r"cargo|rustc|Rust compiler", "cargo"),
    (r"cmake", "cmake"),
    (r"pkg-config", "pkg-config"),
    (r"git", "git"),
    (r"(?:[\w-]+-)?(?:gcc|g\+\+|cc|c\+\+|make)(?:-\d+)?", "build-essential"),
)
_MISSING = re.compile(
    r"fatal error: (?P<header>\S+): No such file or directory"
    r"|command '(?P<command>[^']+)' failed: No such file or directory"
    r"|error: command '(?P<other>[^']+)' failed with exit code 127"
    r"|(?P<config>pg_config|mysql_config|krb5-config|xml2-config|xslt-config|curl-config|gdal-config)\b"
    r"(?: executable)?:? (?:not found|could not be found|is required)"
    r"|(?P<pkgconfig>Can not find valid pkg-config name)"
    r"|(?P<rust>can't find Rust compiler|Rust toolchain|Cargo, the Rust package manager, is not installed)"
    r"|Cannot find command '(?P<vcs>git)'"
    r"|Git executable not (?P<git>found)"
    r"|unable to execute '(?P<tool>[^']+)'"
    r"|No such file or directory: '(?P<program>[\w.+-]+)'"
)
_BROKEN = re.compile(
    r"Failed building wheel for (?P<a>[\w.-]+)|Failed to build '(?P<b>[\w.-]+)'|"
    r"Could not build wheels for (?P<c>[\w.-]+)|"
    r"Failed to (?:download and )?build `(?P<d>[\w.-]+)|Running setup\.py install for (?P<e>[\w.-]+) did not|"
    r"Building wheel for (?P<f>[\w.-]+).*finished with status 'error'|installable wheels for .*\((?P<g>[\w.-]+)\)"
)
_COLLECTING = re.compile(r"^\s*Collecting (?P<name>[\w.-]+)")


@dataclass(frozen=True)
class Cause:
    """Why a step failed.

    Attributes
    ----------
    why : str
        In words, to stand behind a colon.
    hint : str
        What to do about it.
    packages : tuple of str
        The Python packages that it is about.
    os_packages : tuple of str
        The operating system's packages that it is about.
    line : int or None
        The line of the requirements file, where the tool names it.
    """

    why: str
    hint: str = ""
    packages: tuple[str, ...] = ()
    os_packages: tuple[str, ...] = ()
    line: int | None = None


def step_cause(lines: Sequence[str], error: str) -> Cause | None:
    """Find why a step failed; None when nothing that it wrote tells.

    Parameters
    ----------
    lines : sequence of str
        What the step wrote.
    error : str
        What the builder said of it.
    """
    text = "\n".join(lines)
    if re.search(r"no space left on device|disk quota exceeded", f"{text}\n{error}", re.IGNORECASE):
        return disk_cause()
    for look in _LOOKS:
        for cause in look(text, lines):
            return cause
    return None


def disk_cause() -> Cause:
    """Give the cause that the engine's disk is full."""
    hint = "docker system df shows what takes room; docker builder prune frees the cache of builds."
    return Cause("there is no room left on the engine's disk", hint)


def base_image_cause(image: str, error: str) -> Cause:
    """Tell why a base image could not be had.

    Parameters
    ----------
    image : str
        Its name.
    error : str
        The builder's words.
    """
    if re.search(r"no space left on device", error, re.IGNORECASE):
        return disk_cause()
    for pattern, why, hint in _REGISTRY:
        if re.search(pattern, error, re.IGNORECASE):
            return Cause(why.format(image), hint)
    return Cause(f"the image {image} could not be had", "The builder's own words are below.")


def _apt(text: str, _: Sequence[str]) -> Iterator[Cause]:
    if match := re.search(r"^E: Unable to locate package (\S+)", text, re.MULTILINE):
        if re.search(r"^(?:W|Err).*(?:Could not resolve|Temporary failure|Failed to fetch)", text, re.MULTILINE):
            yield Cause("the package lists of the operating system could not be fetched", _NETWORK_HINT)
        hint = f"Check its spelling, or remove it: %packages remove {match[1]}."
        yield Cause(f"the operating system of the image has no package {match[1]}", hint, os_packages=(match[1],))
    if match := re.search(r"^E: Version '([^']+)' for '([^']+)' was not found", text, re.MULTILINE):
        hint = f"Leave the version out: %packages add {match[2]}."
        yield Cause(f"there is no version {match[1]} of the package {match[2]}", hint, os_packages=(match[2],))
    if match := re.search(r"^E: Package '([^']+)' has no installation candidate", text, re.MULTILINE):
        hint = f"Look for what replaces it, or remove it: %packages remove {match[1]}."
        yield Cause(f"the package {match[1]} cannot be installed any more", hint, os_packages=(match[1],))
    if re.search(r"^E: Unable to correct problems|^The following packages have unmet dep", text, re.MULTILINE):
        names = tuple(dict.fromkeys(re.findall(r"^ (\S+) : Depends:", text, re.MULTILINE)))
        yield Cause("the operating system's packages do not fit together", "See the last output.", os_packages=names)
    if re.search(r"^E: (?:Failed to fetch|Unable to fetch|The repository|Could not)", text, re.MULTILINE):
        yield Cause("the operating system's packages could not be fetched", _NETWORK_HINT)


def _pip(text: str, _: Sequence[str]) -> Iterator[Cause]:
    if "Do not upgrade by specifying 'apache-airflow'" in text:
        yield Cause(
            "Airflow's version comes from the base image, and cannot be set here",
            "Remove the line: %requirements remove apache-airflow. %astro_dockerfile set FROM IMAGE changes it.",
            packages=("apache-airflow",),
        )
    if match := re.search(r"Cannot install (.+) because these package versions have conflicting", text):
        yield _conflict(match[1], text)
    if match := re.search(
        r"Could not find a version that satisfies the requirement (.+?) \(from(?: | versions:)", text
    ):
        yield _no_version(match[1], text)
    if match := re.search(r"No matching distribution found for (\S+)", text):
        yield _no_version(match[1], text)
    if match := re.search(r"Package '([\w.-]+)' requires a different Python: (\S+) not in '([^']+)'", text):
        hint = "Choose another version of it, or an image with another Python."
        yield Cause(f"{match[1]} needs Python {match[3]}, and the image has {match[2]}", hint, (match[1],))
    if match := re.search(r"Invalid requirement: (['\"])(.+?)\1", text):
        line = re.search(r"\(from line (\d+) of ", text)
        why = f"{match[2]!r} is no requirement that pip can read"
        yield Cause(why, "Write it as NAME or NAME==VERSION.", line=int(line[1]) if line else None)
    if match := re.search(r"Could not open requirements file: .*'([^']+)'", text):
        yield Cause(
            f"the file {match[1]}, which is to be installed from, is not in the image", "Bring it in with COPY."
        )
    if "DO NOT MATCH THE HASHES" in text:
        yield Cause("a package is not the one that its hash in the file names", "Make the hashes anew.")
    if re.search(r"401 Error, Credentials not correct|HTTP error 40[13]|User for \S+: ", text):
        hint = "Name the index and its login: %astro_private_index URL; or give --build-secret id=NAME,src=FILE."
        yield Cause("the package index refuses access", hint)


def _uv(text: str, _: Sequence[str]) -> Iterator[Cause]:
    flat = re.sub(r"\s+", " ", re.sub(r"^[\s×╰─▶│├]+", "", text, flags=re.MULTILINE).replace("\n", " "))
    if match := re.search(r"Because (?:only )?([\w.\[\]-]+) was not found in the package registry", flat):
        yield _no_package(match[1])
    if match := re.search(r"there (?:is|are) no versions? of ([\w.-]+)([^\s,]*)", flat):
        yield Cause(f"there is no version {match[1]}{match[2]}", "Loosen the version.", (match[1],))
    if "No solution found when resolving" in flat:
        names = tuple(dict.fromkeys(re.findall(r"\byou require ([\w.-]+)", flat)))
        yield Cause("these requirements cannot be installed together", "Loosen or remove one of them.", names)
    if match := re.search(r"Couldn't parse requirement in `[^`]+` at position \d+", flat):
        yield Cause("a line of the requirements cannot be read", "Write each as NAME or NAME==VERSION.")


def _compile(text: str, lines: Sequence[str]) -> Iterator[Cause]:
    """Find a package that comes as source only, whose build failed."""
    broken = _BROKEN.search(text)
    encountered = re.search(r"Encountered error while .*\n╰─> ([\w.-]+)", text)
    name = next((each for each in broken.groups() if each), "") if broken else encountered[1] if encountered else ""
    missing = _MISSING.search(text)
    if not name and not missing and "subprocess-exited-with-error" not in text:
        return
    collected = [match["name"] for match in map(_COLLECTING.match, lines) if match]
    name = name or (collected[-1] if collected else "")
    version = re.search(
        rf"{re.escape(name).replace('-', '[-_.]')}[-=]+(\d[\w.]*?)(?:\.tar\.gz|\.zip|[\s,`]|$)", text, re.IGNORECASE
    )
    shown = f"{name} {version[1]}".strip() if version else name
    about = f"{shown} has no wheel for this platform, and its source" if name else "its source"
    packages = (name,) if name else ()
    if missing is None:
        yield Cause(f"{about} does not build", "Choose a version with a wheel; what its build said is below.", packages)
        return
    needs, debian = _missing_part(missing)
    hint = f"%packages add {debian}" if debian else "Add what has it to packages.txt, or take a version with a wheel."
    yield Cause(f"{about} needs {needs}", hint, packages)


def _missing_part(missing: re.Match[str]) -> tuple[str, str]:
    """Say what a build misses, and which Debian packages have it; empty when that is not known."""
    found = next(each for each in missing.groupdict().values() if each)
    if missing["rust"]:
        return "a Rust compiler, which is not in the image", "cargo"
    thing = {"found": "git", "Can not find valid pkg-config name": "mysql_config"}.get(found, found)
    thing = thing if missing["header"] else thing.rpartition("/")[2]
    debian = next((package for pattern, package in _DEBIAN if re.fullmatch(pattern, thing)), "")
    if missing["header"]:
        return f"the header {thing}" + (f" of {debian}" if debian else ""), debian
    # Headers are of no use without a compiler: a header that is missing shows that there is one, this does not.
    more = " build-essential" if debian.endswith("-dev") else ""
    return f"{thing}, which is not in the image", debian + more


def _access(text: str, _: Sequence[str]) -> Iterator[Cause]:
    if re.search(
        r"Permission denied \(publickey|Could not read from remote repository|Host key verification failed", text
    ):
        hint = "Mount the key in the step (RUN --mount=type=ssh) and give it: --ssh default, or --ssh default=KEY-FILE."
        yield Cause("a repository refused the access by SSH", hint)
    if _UNTRUSTED.search(text):
        hint = "Bring the authority's certificate into the image: %astro_ca_cert FILE. %astro_doctor shows them."
        yield Cause("a server's certificate is not trusted inside the build", hint)
    if _NETWORK.search(text):
        yield Cause("a server could not be reached from inside the build", _NETWORK_HINT)


def _command(text: str, _: Sequence[str]) -> Iterator[Cause]:
    if match := re.search(r"(?:/bin/)?(?:ba)?sh: (?:\d+|line \d+): (\S+?): (?:command )?not found", text):
        yield Cause(
            f"the command {match[1]} is not in the image", "Install it in a step before, or check its spelling."
        )


#: In the order in which they are asked: what is surest first.
_LOOKS: tuple[Callable[[str, Sequence[str]], Iterator[Cause]], ...] = (_apt, _pip, _uv, _compile, _access, _command)


def _no_version(requirement: str, text: str) -> Cause:
    name = re.split(r"[\s<>=!~;\[@(]", requirement, maxsplit=1)[0]
    if _NETWORK.search(text) or _UNTRUSTED.search(text):
        return Cause("the package index could not be reached from inside the build", _NETWORK_HINT)
    versions = re.search(r"\(from versions: ([^)]*)\)", text)
    known = [each.strip() for each in versions[1].split(",")] if versions else []
    if not known or known in (["none"], [""]):
        other = re.search(r"require a different python version: (.+)", text)
        if other:
            hint = "Choose another version of it, or an image with another Python."
            return Cause(f"no version of {name} is for the image's Python", hint, (name,))
        return _no_package(name)
    hint = f"The newest ones are {', '.join(known[-3:])}."
    return Cause(f"there is no {requirement} for the image's Python", hint, (name,))


def _no_package(name: str) -> Cause:
    hint = "Check its spelling; one of a private index needs that index, and its login as a build secret."
    return Cause(f"there is no package {name} on the package index that the image could use", hint, (name,))


def _conflict(named: str, text: str) -> Cause:
    """Say which requirements contradict each other."""
    start = text.find("The conflict is caused by:")
    told = [line.strip() for line in text[start:].splitlines()[1:]] if start >= 0 else []
    sides = told[: told.index("")] if "" in told else told[:4]
    sides = [re.sub(r"^The user requested (?:\(constraint\) )?", "", side) for side in sides]
    found = [match[0] for match in (re.match(r"[A-Za-z0-9][\w.-]*", side) for side in sides) if match]
    line = re.search(r"\(line (\d+)\)", named)
    why = " but ".join(sides[:2]) or named
    return Cause(
        f"these packages cannot be installed together: {why}",
        "Loosen or remove one of them.",
        tuple(dict.fromkeys(found)),
        line=int(line[1]) if line else None,
    )
