"""What a build on a real engine gets, and what of it stays in the image: files, secrets and arguments."""

import uuid
from pathlib import Path

import pytest

from astro_magic.errors import InvalidContentError
from tests.docker.workshop import SMALL

pytestmark = pytest.mark.docker

COPY = f"{SMALL}COPY . /in\n"


def command_lines():
    """Give the command lines of all processes."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:
            continue  # it has ended


def listed(workshop):
    return {line.removeprefix("/in/") for line in workshop.shell("find /in -type f")}


def test_a_secret_is_used_and_stays_nowhere(workshop, monkeypatch):
    secret, argument = f"planted-{uuid.uuid4().hex}", f"planted-{uuid.uuid4().hex}"
    monkeypatch.setenv("PIP_LOGIN", secret)
    (workshop.root / "key.txt").write_text(f"{secret}-file\n")
    workshop.write(
        Dockerfile=(
            f"{SMALL}ARG API_TOKEN\n"
            "RUN --mount=type=secret,id=login --mount=type=secret,id=key "
            'cat /run/secrets/login /run/secrets/key && test -n "$API_TOKEN" && sleep 1\n'
        ),
        **{".dockerignore": "key.txt\n"},
    )
    seen = set()
    operation = workshop.start(
        secrets=("id=login,env=PIP_LOGIN", "id=key,src=key.txt"), args=(f"API_TOKEN={argument}",), no_cache=True
    )
    for event in operation:
        workshop.events.append(event)
        seen |= set(command_lines())
    commands = b"\n".join(seen)
    assert b"id=login,env=PIP_LOGIN" in commands
    told = [commands.decode(errors="replace"), repr(workshop.events), workshop.log.read_text()]
    told.append(str(workshop.connection.api.inspect_image(workshop.tag)))
    history = str(workshop.connection.api.history(workshop.tag))
    assert all(secret not in text for text in (*told, history))
    # An argument is not secret to the engine, which keeps it in the image's history; but nothing shows it.
    assert all(argument not in text for text in told)
    assert workshop.shell("ls /run/secrets") == []


def test_a_secret_that_the_dockerfile_wants_and_nobody_gives(workshop):
    workshop.write(Dockerfile=f"{SMALL}\nRUN --mount=type=secret,id=login cat /run/secrets/login\n")
    with pytest.raises(InvalidContentError) as caught:
        workshop.build()
    assert caught.value.message == "Dockerfile line 3 mounts the build secret login, which is not given."
    assert workshop.events == []


def test_build_arguments(workshop):
    value = "a 'b' \"c\" $HOME ü,="
    workshop.write(Dockerfile=f'{SMALL}ARG NAME\nRUN printf %s "$NAME" > /told\n')
    workshop.build(args=(f"NAME={value}",))
    assert workshop.shell("cat /told") == [value]


def test_our_state_and_secrets_do_not_go_into_the_image(workshop):
    (workshop.root / ".dockerignore").unlink()
    workshop.write(Dockerfile=COPY, **{".env": "A=planted\n"})
    (workshop.project.standalone_dir).mkdir(parents=True)
    (workshop.project.standalone_dir / "big").touch()
    workshop.build()
    found = listed(workshop)
    assert {"Dockerfile", ".astro/config.yaml", "requirements.txt"} <= found
    assert not {name for name in found if name.startswith((".astro/magic", ".astro/standalone", ".env"))}
    # And so what we write there does not make the next build copy everything again.
    (workshop.project.state_dir / "state.json").write_text("{}")
    workshop.build()
    assert workshop.events[-1].detail == "nothing changed"


def test_the_users_rules_hold(workshop):
    workshop.write(
        Dockerfile=COPY, **{".dockerignore": "\ufeffdags\n*.txt\n!packages.txt\n!.env\n!.astro\n", ".env": "A=1\n"}
    )
    workshop.build()
    found = listed(workshop)
    assert {"packages.txt", ".env", ".astro/config.yaml"} <= found
    assert not {name for name in found if name.startswith((".astro/magic", "dags", "requirements"))}


def test_the_rules_beside_the_dockerfile_come_first(workshop):
    workshop.write(Dockerfile=COPY, **{".dockerignore": "*\n", "Dockerfile.dockerignore": "include\nREADME.md\n"})
    (workshop.root / "include" / "x").touch()
    workshop.build()
    found = listed(workshop)
    assert "requirements.txt" in found
    assert not {name for name in found if name.startswith("include")}


def test_an_instruction_that_names_the_secrets_gets_them(workshop):
    (workshop.root / ".dockerignore").unlink()
    workshop.write(Dockerfile=f"{SMALL}COPY .env /in/\n", **{".env": "A=1\n"})
    workshop.build()
    assert listed(workshop) == {".env"}
